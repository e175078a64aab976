// Stripe's field for a card, and its way to the customer's bank. Its script draws both in frames of its own: no number of
// a card is ever in this page. What it answers only leads on; the server asks Stripe itself what became of it.
{
  const form = document.getElementById("hosted");
  const field = document.getElementById("hosted-field"); // none where a saved card is confirmed
  const wrong = document.getElementById("hosted-error");
  const state = document.getElementById("hosted-state");
  const button = form.querySelector("button");
  const { key, secret, card, language, waits, failed } = form.dataset;

  const colour = (place) => getComputedStyle(place).color;

  const drawn = (stripe) => {
    const { color, fontSize } = getComputedStyle(field);
    const base = { color, fontSize, iconColor: color, "::placeholder": { color: colour(state) } };
    const invalid = { color: colour(wrong), iconColor: colour(wrong) };
    const made = stripe.elements().create("card", { hidePostalCode: true, disableLink: true, style: { base, invalid } });
    made.mount(field);
    made.on("change", (change) => {
      wrong.textContent = change?.error?.message ?? "";
    });
    return made;
  };

  const begin = () => {
    const stripe = Stripe(key, { locale: language });
    const typed = field && drawn(stripe);
    if (typed) return () => stripe.confirmCardSetup(secret, { payment_method: { card: typed } });
    return () => (card ? stripe.confirmCardPayment(secret, { payment_method: card }) : stripe.confirmCardPayment(secret));
  };

  const asked = async (confirm) => {
    try {
      return (await confirm()).error;
    } catch (error) {
      console.error(error);
      return {};
    }
  };

  if (typeof Stripe === "undefined") {
    document.getElementById("hosted-missing").hidden = false;
  } else {
    form.hidden = false; // before anything is drawn: what is not shown has no measures
    const confirm = begin();
    let busy = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      button.setAttribute("aria-disabled", "true"); // and keeps the focus
      wrong.textContent = "";
      state.textContent = waits;
      const error = await asked(confirm);
      if (!error) {
        location.assign(form.action);
        return;
      }
      busy = false;
      button.removeAttribute("aria-disabled");
      state.textContent = "";
      wrong.textContent = error.message || failed;
      // A payment that has ended is not asked about again: the page of billing says what became of it.
      const ended = error.payment_intent && error.payment_intent.status !== "requires_action";
      button.hidden = Boolean(ended);
      document.getElementById("hosted-on").hidden = !ended;
    });
  }
}
