package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// runHandlers is the main function of a process with which the edge is compared:
// the same room behind a plain Go server, which keeps a goroutine for each stream,
// as every server does that cannot park. It is the cheapest of its kind; what Caddy
// or any framework keeps for a request comes on top.
func runHandlers(args []string) error {
	flags := flag.NewFlagSet("handlers", flag.ContinueOnError)
	listen := flags.String("listen", "", "address to listen on")
	admin := flags.String("admin", "", "socket where every request is a collection")
	url := flags.String("redis", "", "where the queue is")
	certificate := flags.String("certificate", "", "for TLS; plain text without")
	key := flags.String("key", "", "of the certificate")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := redisconn.Open(*url)
	if err != nil {
		return err
	}
	r := room.New(room.Deps{Queue: queue.Open(client, benchRoom)}, room.Config{Name: benchRoom, Queue: queue.Settings{
		Rate: 1, Per: time.Hour, Active: 1_000_000, Session: 10 * time.Minute, ClaimWithin: 2 * time.Minute, AbandonAfter: 2 * time.Minute,
	}})
	r.Start()
	server := &http.Server{
		Addr: *listen, Handler: handlers(r), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 alone
	}
	asked, err := net.Listen("unix", *admin)
	if err != nil {
		return err
	}
	go func() {
		_ = http.Serve(asked, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.GC() })) //nolint:gosec // our own socket
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if *certificate != "" {
		err = server.ListenAndServeTLS(*certificate, *key)
	} else {
		err = server.ListenAndServe()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// handlers are the three requests of a fan. The place is in a cookie, unsealed:
// what is measured begins after it.
func handlers(r *room.Room) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		setPlace(w, place.Token{Visitor: anybody()})
	})
	mux.HandleFunc("POST "+pathJoin, func(w http.ResponseWriter, q *http.Request) {
		joined, err := r.Join(q.Context(), placeOf(q), room.JoinOptions{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		setPlace(w, joined.Token)
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("GET "+pathStream, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if err := r.Stream(q.Context(), hub.ResponseStream(w), placeOf(q), 0); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}

func setPlace(w http.ResponseWriter, tok place.Token) {
	http.SetCookie(w, &http.Cookie{Name: "place", Value: fmt.Sprintf("%s.%d", tok.Visitor, tok.Score)}) //nolint:gosec // on loopback, for a minute
}

func placeOf(r *http.Request) (tok place.Token) {
	c, err := r.Cookie("place")
	if err != nil || len(c.Value) < 24 {
		return tok
	}
	if tok.Visitor, err = place.ParseVisitor(c.Value[:22]); err == nil {
		_, err = fmt.Sscan(c.Value[23:], &tok.Score)
	}
	if err != nil {
		return place.Token{}
	}
	return tok
}

// handlers runs that process on a Redis of its own.
func (l *lab) handlers(ctx context.Context, secure bool) (guarded, error) {
	redis, err := l.redis(ctx)
	if err != nil {
		return guarded{}, err
	}
	port, err := freePort()
	if err != nil {
		return guarded{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return guarded{}, fmt.Errorf("finding our own program: %w", err)
	}
	g := guarded{address: "127.0.0.1:" + port, url: "http://127.0.0.1:" + port, redis: redis}
	admin := filepath.Join(l.dir, "handlers.sock")
	g.collect = collector("unix", admin)
	args := []string{"handlers", "-listen", g.address, "-admin", admin, "-redis", redis}
	if secure {
		pair, err := l.certificate()
		if err != nil {
			return guarded{}, err
		}
		g.ca, g.url = pair.certificate, "https://"+g.address
		args = append(args, "-certificate", pair.certificate, "-key", pair.key)
	}
	g.process, err = l.start(ctx, self, g.url, nil, args...)
	return g, err
}
