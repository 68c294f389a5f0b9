package sandbox_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
)

func TestWithoutASecretNoWebhookIsBelieved(t *testing.T) {
	t.Parallel()
	p, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	body, now := []byte(`{"id":"ev_1","payment":"sb_1","booking":"b_1"}`), time.Now()
	if _, err := p.ParseWebhook(body, sandbox.Sign(nil, body, now), now); !errors.Is(err, payment.ErrSignature) {
		t.Errorf("got %v, want ErrSignature: anybody can sign with no secret", err)
	}
}
