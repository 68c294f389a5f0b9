package rehearse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"time"
)

// UserAgent is what every client says it is. Passes are bound to it.
const UserAgent = "caddy-tickets-rehearse"

const (
	// maxReply bounds what is read of a reply; the largest is a stadium's layout.
	maxReply = 32 << 20
	// callTimeout bounds one request without its retries.
	callTimeout = 30 * time.Second
	// maxTries bounds how often one call is repeated when the answer is lost or
	// asks to come back later. Connections are refused and reset for moments
	// while an edge reloads, so a client that tries once is no fair picture.
	maxTries = 8
)

// Client is one browser: its own cookies, connections and source address.
type Client struct {
	site *url.URL
	http *http.Client
	pool *http.Transport
}

// NewClient makes a client of the site. A valid source address is used for all
// its connections; on loopback any 127.x.y.z works.
func NewClient(site *url.URL, source net.IP) *Client {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if source != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: source}
	}
	pool := &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   false,
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // cannot be: New fails only for options, and it is given none
	}
	return &Client{site: site, pool: pool, http: &http.Client{
		Transport: pool,
		Jar:       jar,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// Close drops the client's connections.
func (c *Client) Close() { c.pool.CloseIdleConnections() }

// Call is one request. Body is sent as JSON unless it is nil.
type Call struct {
	Method string
	Path   string
	Body   any
	Header http.Header
	Accept string // default application/json
}

// Reply is what came back, read to its end.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	Took   time.Duration // of the try that was answered, without waiting
}

// Refusal is a problem document that ended a call.
type Refusal struct {
	Status     int
	Code       string        `json:"code"`
	Title      string        `json:"title"`
	Detail     string        `json:"detail"`
	RetryAfter time.Duration `json:"-"`
	Challenge  *Challenge    `json:"challenge"`
	RetryMs    int64         `json:"retryAfterMs"`
}

// Challenge is botguard's invitation to work, as found in a Refusal.
type Challenge struct {
	Token string `json:"token"`
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Detail)
}

// Do makes the call, repeating it while the server asks for patience (429 and
// 503 with Retry-After) or the answer is lost, and decodes a JSON reply into
// into if that is not nil. Calls are repeated as they are, so a POST needs its
// Idempotency-Key. A reply of 400 and more is a *Refusal.
func (c *Client) Do(ctx context.Context, call Call, into any) (Reply, error) {
	var body []byte
	if call.Body != nil {
		var err error
		if body, err = json.Marshal(call.Body); err != nil {
			return Reply{}, fmt.Errorf("encoding the request: %w", err)
		}
	}
	var last error
	for try := range maxTries {
		reply, err := c.once(ctx, call, body)
		last = err
		if err == nil && into != nil {
			if err := json.Unmarshal(reply.Body, into); err != nil {
				return reply, fmt.Errorf("reading the reply to %s %s: %w", call.Method, call.Path, err)
			}
		}
		wait, again := retryIn(err, try)
		if !again || !sleep(ctx, wait) {
			return reply, err
		}
	}
	return Reply{}, last
}

// retryIn says how long to wait before the next try, and whether to try at all.
func retryIn(err error, try int) (time.Duration, bool) {
	var refusal *Refusal
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &refusal):
		patient := refusal.Status == http.StatusTooManyRequests || refusal.Status == http.StatusServiceUnavailable ||
			refusal.Status == http.StatusBadGateway
		if refusal.RetryAfter > 0 {
			return refusal.RetryAfter, patient
		}
		return backoff(try), patient
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return 0, false
	default:
		return backoff(try), true
	}
}

// backoff is 100 ms doubled with every try, at most 3.2 s.
func backoff(try int) time.Duration { return 100 * time.Millisecond << min(try, 5) }

func (c *Client) once(ctx context.Context, call Call, body []byte) (Reply, error) {
	callCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := c.request(callCtx, call, body)
	if err != nil {
		return Reply{}, err
	}
	begun := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return Reply{}, lost(ctx, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return Reply{}, lost(ctx, err)
	}
	reply := Reply{Status: resp.StatusCode, Header: resp.Header, Body: b, Took: time.Since(begun)}
	if resp.StatusCode >= 400 {
		return reply, refusal(resp, b)
	}
	return reply, nil
}

// lost tells a rehearsal that is over from an answer that did not come.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %v", errLost, err)
}

var errLost = errors.New("no answer")

func (c *Client) request(ctx context.Context, call Call, body []byte) (*http.Request, error) {
	target, err := c.site.Parse(call.Path)
	if err != nil {
		return nil, fmt.Errorf("building the address of %s: %w", call.Path, err)
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, target.String(), reader)
	if err != nil {
		return nil, fmt.Errorf("building the request: %w", err)
	}
	for name, values := range call.Header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	if call.Accept != "" {
		req.Header.Set("Accept", call.Accept)
	}
	req.Header.Set("User-Agent", UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if call.Method != http.MethodGet {
		req.Header.Set("Origin", c.site.Scheme+"://"+c.site.Host)
	}
	return req, nil
}

func refusal(resp *http.Response, body []byte) *Refusal {
	r := &Refusal{}
	if json.Unmarshal(body, r) != nil || r.Code == "" {
		r.Code = "http-" + strconv.Itoa(resp.StatusCode) // not one of ours: a proxy's own error page
	}
	r.Status = resp.StatusCode
	r.RetryAfter = time.Duration(r.RetryMs) * time.Millisecond
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && r.RetryAfter == 0 {
		r.RetryAfter = time.Duration(s) * time.Second
	}
	return r
}
