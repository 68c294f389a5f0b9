package paymenttest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

// sent is when the webhooks of the suite are signed; the providers' own clock
// plays no part in reading them.
var sent = time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)

func webhook(t *testing.T, b Backend) {
	p := b.authorised(t, ask(b.OK))
	body, signature := b.Webhook(t, p, sent)
	event, err := b.Provider.ParseWebhook(body, signature, sent)
	if err != nil || event.ID == "" || event.Payment != p.ID || event.Booking != p.Booking {
		t.Errorf("the webhook of %+v says %+v, %v", p, event, err)
	}
}

func forged(t *testing.T, b Backend) {
	body, signature := b.Webhook(t, b.authorised(t, ask(b.OK)), sent)
	other, _ := b.Webhook(t, b.authorised(t, ask(b.OK)), sent)
	refuse := func(what string, body []byte, signature string) {
		t.Helper()
		if event, err := b.Provider.ParseWebhook(body, signature, sent); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s: %+v, %v", what, event, err)
		}
	}
	refuse("nothing", nil, "")
	refuse("no signature", body, "")
	refuse("no body", nil, signature)
	refuse("another's signature", other, signature)
	refuse("a body with more", append(bytes.Clone(body), ' '), signature)
	refuse("signed twice", body, signature+","+signature)
	for i := range body {
		changed := bytes.Clone(body)
		changed[i] ^= 1
		refuse("a changed byte of the body", changed, signature)
	}
	for i := range len(signature) {
		changed := []byte(signature)
		changed[i] ^= 1
		refuse("a changed byte of the signature", body, string(changed))
		refuse("a truncated signature", body, signature[:i])
	}
}

func stale(t *testing.T, b Backend) {
	body, signature := b.Webhook(t, b.authorised(t, ask(b.OK)), sent)
	for age, taken := range map[time.Duration]bool{
		0: true, 300 * time.Second: true, 301 * time.Second: false, 72 * time.Hour: false,
		-300 * time.Second: true, -301 * time.Second: false, // clocks differ both ways
	} {
		_, err := b.Provider.ParseWebhook(body, signature, sent.Add(age))
		if taken != (err == nil) || err != nil && !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%v old: %v", age, err)
		}
	}
}
