// Puts the code that a mailed link carries behind # into its field, and takes it out of the address and the history.
const code = new URLSearchParams(location.hash.slice(1)).get("token");
const field = document.getElementById("token");
if (code && field) {
  field.value = code;
  history.replaceState(null, "", location.pathname);
}
