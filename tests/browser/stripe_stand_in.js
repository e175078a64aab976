// Stands in for Stripe.js at the interface that our page uses, as far as localstripe's does not go: a field in a frame,
// errors of the field, an authentication that fails with its payment in the error, a call that breaks. It plays what the
// test put into window.answers, one for each call, and keeps what it was called with in window.calls.
window.calls = [];
window.Stripe = (key, options) => {
  window.calls.push(["Stripe", key, options]);
  const answer = (name) => async (secret, told) => {
    // A field of ours is no value that a test could be told.
    const card = typeof told?.payment_method === "string" ? told : null;
    window.calls.push([name, secret.split("_secret_")[0], card]);
    const next = window.answers.shift();
    if (next === "breaks") throw new Error("the script broke");
    return next;
  };
  return {
    elements: () => ({
      create: (type, look) => {
        window.calls.push(["create", type, look]);
        return {
          mount(place) {
            const frame = document.createElement("iframe");
            frame.width = "100%"; // as Stripe's own stands in its place
            frame.height = "20";
            frame.title = "Secure card payment input frame";
            frame.src = new URL("/js.stripe.com/v3/", document.querySelector("script[src*='js.stripe.com']").src);
            place.append(frame);
          },
          on(event, handler) {
            if (event === "change") window.changed = handler;
          },
        };
      },
    }),
    confirmCardSetup: answer("confirmCardSetup"),
    confirmCardPayment: answer("confirmCardPayment"),
  };
};
