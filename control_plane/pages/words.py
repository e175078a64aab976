"""The sentences of the pages that do not stand in a template, by code: errors, what was done, names of rights. Pure.

Codes are those of control_plane.errors; a code without a sentence here is told by a general one, so that no English
reason of a service stands in the middle of a translated page.
"""

from __future__ import annotations

from dataclasses import dataclass

from control_plane.pages import languages
from control_plane.translations import N_

GENERAL = N_("This cannot be taken as it is.")
ERRORS = {
    "field_missing": N_("Fill this in."),
    "field_malformed": N_("This is not written as it should be."),
    "too_long": N_("This is too long."),
    "form_malformed": N_("The form did not arrive whole. Send it again."),
    "email_malformed": N_("This is not an e-mail address. It looks like name@example.com."),
    "password_short": N_("The password is too short: it needs 10 characters or more."),
    "password_long": N_("The password is too long: 256 characters at most."),
    "password_weak": N_("The password has too few different characters."),
    "password_wrong": N_("The present password is wrong."),
    "declaration_missing": N_("Without this declaration we cannot open an account."),
    "acceptance_missing": N_("Read the texts and accept them to go on."),
    "text_changed": N_("A newer version of the texts has come out. Read it and accept it."),
    "business_unnamed": N_("Give the name of your business or its tax number."),
    "tax_number_malformed": N_("A tax number has letters and digits only, at least four."),
    "invisible_characters": N_("There are characters in it that cannot be seen."),
    "mixed_scripts": N_("One word has letters of different scripts."),
    "name_reserved": N_("This name is taken."),
    "time_zone_unknown": N_("Choose a time zone from the list."),
    "language_unknown": N_("Choose a language from the list."),
    "plan_unknown": N_("This plan is not on sale."),
    "plan_currency": N_("This plan is not sold in that currency."),
    "credentials_wrong": N_("E-mail address or password is wrong."),
    "email_unverified": N_("Open the link in the mail that we sent you first."),
    "account_closed": N_("This account is closed. Support can tell you more."),
    "token_unknown": N_("This code is not one of ours, or it is not whole."),
    "token_gone": N_("This code was used before, was replaced by a newer one, or has expired."),
    "free_account_used": N_("The one free account was used before."),
    "sign_in_first": N_("You have an account with this address: sign in, then open the link again."),
    "member_already": N_("This person is a member already."),
    "members_full": N_("Your plan has no more places for people."),
    "right_missing": N_("You cannot give or take a right that you do not have."),
    "own_rights": N_("Nobody changes their own rights."),
    "owner_stays": N_("The owner has all rights and stays. Support can change the owner."),
    "too_many_keys": N_("There are 50 keys already. Revoke one first."),
    "slug_malformed": N_("3 to 40 of a to z, 0 to 9, with single hyphens between them."),
    "slug_reserved": N_("This address is taken."),
    "slug_taken": N_("This address is taken, or another one looks like it."),
    "ticket_missing": N_("Name the ticket that this is for, such as T-1234."),
    "account_state": N_("The account is not in a state in which this can be done."),
    "account_unknown": N_("There is no such account."),
    "access_over": N_("This visit is over. Open the account again for the ticket."),
    "busy": N_("Too many people are signing in at this moment. Try again in a few seconds."),
    "idempotency_key_reused": N_("This form was sent before. Open it anew to send another one."),
    "website_malformed": N_("An address of a page begins with https:// or http://."),
    "query_malformed": N_("Search for 2 to 100 letters."),
    "event_id_malformed": N_("The number of a room has digits only, such as 123 456 789."),
    "event_id_length": N_("The number of a room has exactly nine digits. Please check it."),
    "event_id_zero": N_("The number of a room never begins with 0. Please check it."),
    "event_not_found": N_(
        "With this number you can join no room. Check it, or ask whoever invited you; some rooms need a link."
    ),
    "event_cancelled": N_("This room was cancelled."),
    "event_ended": N_("This room is over."),
    "event_over": N_("This room is over."),
    "name_malformed": N_("Say what others shall call you, in 1 to 60 characters."),
    "may_not_host": N_("This account cannot hold rooms at the moment."),
    "plan_kind": N_("Your plan does not include rooms of this kind."),
    "kind_fixed": N_("A meeting stays a meeting. Make another room."),
    "events_max": N_("There are too many rooms already. Cancel some first."),
    "title_malformed": N_("Give the room a title of 1 to 200 characters."),
    "seats_malformed": N_("Choose a number of 1 to 10,000."),
    "label_malformed": N_("A note has 100 characters at most."),
    "time_malformed": N_("This is not a date with a time."),
    "time_skipped": N_("On this day the clocks go forward and skip this time."),
    "bad_feedback": N_("Feedback is plain text of 1 to 4,000 characters."),
    "too_often": N_("That was too often. Wait a little and try again."),
    "price_changed": N_(
        "The price has changed since you looked. This is the new sum: look at it again before you pay."
    ),
    "card_missing": N_("Give a card first."),
    "card_unknown": N_("There is no card on file."),
    "card_ends": N_("Your card ends before the freeze could begin. Give another card first."),
    "country_missing": N_("Say first in which country you are: the invoice needs it."),
    "country_unknown": N_("Choose a country from the list."),
    "payment_running": N_("A payment is on its way. Wait until it has ended."),
    "renewal_running": N_("The next period is being charged. Try again when it is paid."),
    "plan_state": N_("This needs a plan that is paid and in force."),
    "plan_same": N_("This is the plan that you have."),
    "cycle_unknown": N_("Choose a month or a year."),
    "subscribed": N_("You have a plan already. You can change it."),
    "no_upgrade": N_("This plan costs no more. It begins with the next period."),
    "add_on_unknown": N_("This add-on is not on sale, or it is over."),
    "add_on_currency": N_("This add-on is not sold in the currency and cycle of your plan."),
    "quantity_malformed": N_("Order one piece at least, as a whole number."),
    "quantity_max": N_("That is more than one account may have at a time."),
    "freeze_days": N_("A freeze has 1 to 90 days."),
    "freeze_state": N_("Only a plan that is paid and in force can be frozen."),
    "freeze_pending": N_("Withdraw the freeze first: one excludes the other."),
    "cancel_pending": N_("You have cancelled. Undo that first: one excludes the other."),
    "not_frozen": N_("Your plan is not frozen."),
    "not_subscribed": N_("There is nothing to cancel, or it is too late."),
    "through_support": N_("This can be cancelled by our support only."),
    "card_number": N_("A card number has 12 to 19 digits."),
    "card_month": N_("Write month and year as on the card, such as 12/2030."),
    "not_paid": N_("Only what was paid can be given back."),
    "disputed": N_("The customer's bank has taken this payment back: the dispute decides."),
    "refund_malformed": N_("Give back a sum above zero."),
    "refund_max": N_("That is more than is left of this line."),
    "amount_unreadable": N_("Write an amount like 12.30."),
    "amount_too_fine": N_("This currency has fewer digits after the point."),
    "amount_too_large": N_("This amount is too large."),
    "invoice_unknown": N_("There is no such invoice."),
    "ground_unknown": N_("Choose a ground from the list."),
    "amount_not_positive": N_("Give a sum above zero."),
    "currency_unknown": N_("Choose a currency from the list."),
    "not_ended": N_("The agreement has not ended, so there is nothing to come back to."),
    "return_refused": N_("Its return was refused. Tick that it may come back all the same."),
    "window_over": N_("The time to come back is over."),
    "not_returnable": N_("Of this nothing is given back, used or not."),
    "no_such_task": N_("Somebody was done with it before you."),
    "freeze_suspended": N_("An account that is suspended cannot be frozen."),
}
DONE = {
    "verified": N_("Your address is confirmed and your account is open. Sign in to begin."),
    "verified-reset": N_("Your address is confirmed. We have sent you a mail with a link to set your password."),
    "password": N_("Your new password is set. Sign in with it."),
    "signed-out": N_("You are signed out."),
    "joined": N_("You are a member now. Sign in to begin."),
    "saved": N_("Saved."),
    "password-changed": N_("Your password is changed. Every other session has ended."),
    "session-ended": N_("The session has ended."),
    "invited": N_("The invitation is on its way."),
    "taken-back": N_("The invitation is taken back."),
    "removed": N_("The person is no longer a member."),
    "left": N_("You have left the account."),
    "revoked": N_("The key is revoked and opens nothing any more."),
    "account-chosen": N_("You are looking at this account now."),
    "suspended": N_("The account is suspended. Its rooms are being ended."),
    "lifted": N_("The suspension is lifted."),
    "banned": N_("Refused from now on."),
    "ban-lifted": N_("No longer refused."),
    "visit-ended": N_("The visit is over."),
    "room-made": N_("The room is there. Send its number or a link to the people whom you invite."),
    "room-cancelled": N_("The room is cancelled. Its number lets nobody in any more."),
    "room-ended": N_("The room is over. Everybody was put out."),
    "link-revoked": N_("The link opens nothing any more. Who is in stays in."),
    "feedback": N_("Thank you, it has arrived."),
    "ordered": N_("It is ordered. Your card is being charged; look again in a moment."),
    "paid": N_("It is paid. The invoice is in your billing history."),
    "payment-abandoned": N_("The payment is being taken back."),
    "card-saved": N_("Your card is saved."),
    "card-removed": N_("Your card is charged no more."),
    "country-saved": N_("Saved. It counts from the next invoice on."),
    "autopay-on": N_("Your card is charged for each period from now on."),
    "autopay-off": N_("Your card is charged no more by itself."),
    "plan-next": N_("The plan changes with the next period."),
    "plan-stays": N_("Your plan stays as it is."),
    "add-on-cancelled": N_("The add-on works to the end of its days and is not charged again."),
    "freeze-asked": N_("The freeze is noted."),
    "freeze-withdrawn": N_("The freeze is withdrawn."),
    "cancel-asked": N_("You have cancelled. We confirm it by mail."),
    "cancel-undone": N_("The cancellation is undone."),
    "cancelled": N_("You have cancelled, and your account is closed. We confirm it by mail."),
    "refunded": N_("The credit note is made, and the money is on its way."),
    "terminated": N_("The agreement is ended."),
    "credit-given": N_("The credit is given."),
    "return-ordered": N_(
        "The card is being charged. With the payment the account is open again; look again in a moment."
    ),
    "return-refused": N_("The return is refused."),
    "task-done": N_("It is taken off the list."),
}
# Why a card was not charged, or not saved (control_plane.gateway.port.DeclineCode, and ours of settling).
DECLINES = {
    "declined": N_("The bank declined it and gave no reason. Ask your bank, or give another card."),
    "insufficient_funds": N_("There is not enough money on it."),
    "expired_card": N_("The card has expired. Give another one."),
    "card_unusable": N_("This card cannot be used here. Give another one."),
    "authentication_failed": N_("Your bank was not sure that it was you."),
    "try_again": N_("The bank could not be reached. Try again later."),
    "called_off": N_("It was taken back before it was paid."),
    "short": N_("Less came in than was due. The sum is your credit."),
    "not_saved": N_("No card was saved: your bank did not take it, or it was not finished in time. Begin again."),
}
SUBSCRIPTIONS = {
    "none": N_("no plan"),
    "trial": N_("Free trial"),
    "active": N_("paid"),
    "frozen": N_("frozen"),
    "expired": N_("expired"),
    "ended": N_("ended"),
}
INVOICES = {
    "pro_forma": N_("Pro-forma"),
    "invoice": N_("Invoice"),
    "credit_note": N_("Credit note"),
    "open": N_("to be paid"),
    "paid": N_("paid"),
    "void": N_("not paid, no longer asked for"),
    "uncollectible": N_("could not be collected"),
}
# BIL-40: the grounds of a termination for cause; and that without one, which gives the unused days back (BIL-43).
GROUNDS = {
    "none": N_("Without a cause: the unused days are given back"),
    "authority_order": N_("Order of a court or an authority"),
    "payment_default": N_("Payment default"),
    "prohibited_practice": N_("Prohibited practices"),
    "misuse_of_marks": N_("Misuse of marks"),
    "false_registration": N_("False or stale registration data"),
    "means_without_right": N_("Payment with means that were not the customer's"),
}
DISPUTES = {
    "inquiry": N_("asked about"),
    "open": N_("open: the bank has the money"),
    "won": N_("won: the money came back"),
    "lost": N_("lost"),
}
# What somebody of the staff has to look at in an account's billing, by the kind of the task.
TASKS = {
    "dispute_inquiry": N_("The customer's bank asks about a payment. Answer it at the gateway."),
    "dispute_open": N_("The customer's bank has taken a payment back. Answer it at the gateway."),
    "dispute_won": N_("A dispute is won: the money came back."),
    "dispute_lost": N_("A dispute is lost: what the payment was for is not paid."),
    "dispute_exceeds": N_(
        "More is disputed than there is of the payment. The books moved what was left of it and no more: look at the"
        " gateway what happened to the rest."
    ),
    "refund_failed": N_("Money that was given back did not arrive. It is the customer's credit now: find another way."),
    "payment_unassigned": N_("Money came in that pays for nothing. It is the customer's credit now."),
}
RIGHTS = {
    "account": N_("Account: details, profile and API keys"),
    "members": N_("People: invite, give rights, remove"),
    "events": N_("Rooms: make, change and start them"),
    "content": N_("Content: files and recordings"),
    "billing": N_("Billing: plan, payments and invoices"),
}
REASONS = {
    "terms_breach": N_("Breach of the terms"),
    "illegal_content": N_("Illegal content"),
    "abuse": N_("Abuse"),
    "fraud": N_("Fraud"),
    "unpaid": N_("Unpaid"),
    "security": N_("Security"),
    "legal_order": N_("Order of an authority"),
}
KINDS = {
    "meeting": N_("Meeting: everybody is seen and heard"),
    "webinar": N_("Webinar: presenters speak to an audience"),
    "large": N_("Large event: presenters speak to a very large audience"),
}
ROLES = {"attendee": N_("Attendee"), "presenter": N_("Presenter"), "host": N_("Host")}
STATES = {"planned": N_("planned"), "ended": N_("over"), "cancelled": N_("cancelled")}
STATUSES = {
    "pending": N_("not confirmed yet"),
    "open": N_("open"),
    "suspended": N_("suspended"),
    "closed": N_("closed"),
    "deleted": N_("deleted"),
}


@dataclass(frozen=True)
class ProblemWords:
    title: str
    sentence: str


_PROBLEMS = {
    404: ProblemWords(
        N_("There is nothing here"),
        N_("The address may be mistyped, or what was here has gone. It may also be something you may not see."),
    ),
    403: ProblemWords(
        N_("This is not open to you"),
        N_("You are signed in, but you do not have the right that this needs. The account's owner can give it."),
    ),
    405: ProblemWords(N_("This does not work so"), N_("This address takes no such request.")),
    413: ProblemWords(N_("That is too much at once"), N_("What was sent is larger than we take.")),
    429: ProblemWords(N_("Too often, too fast"), N_("Wait a little and try again.")),
    500: ProblemWords(
        N_("A fault of ours"), N_("Something went wrong at our side. It is written down; try again in a while.")
    ),
    503: ProblemWords(
        N_("Too busy at the moment"), N_("We cannot do this right now. Try again in a few seconds; nothing is lost.")
    ),
}
_CSRF = ProblemWords(
    N_("This form is out of date"),
    N_("You signed in or out since it was opened, or it came from elsewhere. Open the page anew and send it again."),
)
_SUSPENDED = ProblemWords(
    N_("Your account is suspended"), N_("This is closed as long as it is. The page of your account says why.")
)
_OTHERWISE = ProblemWords(N_("This cannot be done"), GENERAL)


_SENTENCES = frozenset(
    sentence
    for words in (
        *(RIGHTS, REASONS, STATUSES, KINDS, ROLES, STATES),
        *(DECLINES, SUBSCRIPTIONS, INVOICES, GROUNDS, DISPUTES, TASKS),
    )
    for sentence in words.values()
)


def say(language: str, code: str) -> str:
    """The sentence of an error's code, or of a sentence of ours, in a language."""
    return languages.translations(language).gettext(ERRORS.get(code, code if code in _SENTENCES else GENERAL))


def done(code: str) -> str:
    """The sentence (to be translated) of what was done; "" for what is no code of ours."""
    return DONE.get(code, "")


def problem(status: int, code: str, *, owner: bool = False) -> ProblemWords:
    """What is said about a problem that takes the place of a page. An `owner` has every right but while the account is
    suspended."""
    if code in ("csrf", "cross_site"):
        return _CSRF
    if owner and code == "right_missing":
        return _SUSPENDED
    return _PROBLEMS.get(status, _OTHERWISE)
