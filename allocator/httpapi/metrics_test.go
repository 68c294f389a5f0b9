package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestRequestsAreCountedByRouteAndNothingThatAClientSendsIsALabel(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(2, 0)
	hold := s.hold(event, "ann", "k", seats("A0"))
	s.do(s.pays(hold, "ann", "p1", "tok_ok"))
	s.do(s.pays(s.hold(event, "ann", "k2", seats("A1")), "ann", "p2", "tok_panic"))
	for i := range 20 {
		s.do(ask{method: http.MethodGet, path: fmt.Sprintf("/v1/events/guess-%d", i)})
		s.do(ask{method: http.MethodGet, path: fmt.Sprintf("/v1/nowhere/%d", i)})
	}
	page := s.do(ask{method: http.MethodGet, path: "/metrics"}).body
	for _, line := range []string{
		`tickets_allocator_request_seconds_count{class="2xx",route="hold"} 2`,
		`tickets_allocator_request_seconds_count{class="2xx",route="checkout"} 1`,
		`tickets_allocator_request_seconds_count{class="5xx",route="checkout"} 1`,
		`tickets_allocator_request_seconds_count{class="4xx",route="event"} 20`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	for _, secret := range []string{"guess", "nowhere", event, hold, "ann"} {
		if strings.Contains(page, secret) {
			t.Errorf("%q is in the metrics", secret)
		}
	}
	if n := strings.Count(page, "tickets_allocator_request_seconds_count"); n != 4 {
		t.Errorf("%d series of requests:\n%s", n, page)
	}
}
