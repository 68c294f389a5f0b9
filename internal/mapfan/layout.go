package mapfan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Layout is a layout of an event, asked of the allocator once. Errors: ErrNoDocument,
// ErrUnavailable.
func (f *Followers) Layout(ctx context.Context, event, hash string) (*Document, error) {
	d, err := f.documents.Get(ctx, event, hash, func(ctx context.Context) ([]byte, error) {
		return f.fetch(ctx, "/v1/events/"+url.PathEscape(event)+"/layout@"+hash)
	})
	if err != nil && !errors.Is(err, ErrNoDocument) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return d, err
}

func (f *Followers) fetch(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for a layout: %w", err)
	}
	reply, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for a layout: %w", err)
	}
	defer func() { _ = reply.Body.Close() }()
	switch reply.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, ErrNoDocument
	default:
		return nil, fmt.Errorf("asking for a layout: %s", reply.Status)
	}
	body, err := io.ReadAll(io.LimitReader(reply.Body, f.largest+1))
	if err != nil {
		return nil, fmt.Errorf("reading a layout: %w", err)
	}
	if int64(len(body)) > f.largest {
		return nil, fmt.Errorf("reading a layout: more than %d bytes", f.largest)
	}
	return body, nil
}
