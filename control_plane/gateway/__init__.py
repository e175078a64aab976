"""The payment gateway behind a port in our words; a faithful fake, and Stripe."""
