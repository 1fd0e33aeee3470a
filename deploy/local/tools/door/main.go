// A door before programs whose HTTP API reads and writes, and asks nobody who he is.
//
// `GET /shutdown` ends a Tempo, so one link in any web page could. Behind a door there is only
// what is listed: everything else does not exist. What a web page sends, from another origin or
// under a rebound DNS name, is refused.
//
// The configuration is a JSON list of doors:
//
//	[{"listen": "127.0.0.1:3200", "to": "unix:tempo.sock", "allow": ["GET /api/", "GET /ready"]}]
//
// A door may have `origins`, of the pages that are let in. `to` is `unix:<path>` or `http://<host>:<port>[/<prefix>]`; `allow` holds patterns of Go's
// ServeMux (https://pkg.go.dev/net/http#hdr-Patterns-ServeMux).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

var version = "unknown"

type door struct {
	Listen  string   `json:"listen"`
	To      string   `json:"to"`
	Allow   []string `json:"allow"`
	Origins []string `json:"origins"`
}

func main() {
	config := flag.String("config", "", "JSON file with the doors")
	printVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *printVersion {
		fmt.Println("door version", version)
		return
	}
	doors, err := read(*config)
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	for _, each := range doors {
		go func() { ended <- each.serve() }()
	}
	log.Fatal(<-ended)
}

func read(file string) ([]door, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doors []door
	if err := json.Unmarshal(content, &doors); err != nil {
		return nil, fmt.Errorf("expected a list of doors in %s, found %w", file, err)
	}
	return doors, nil
}

func (d door) serve() error {
	behind, err := d.behind()
	if err != nil {
		return err
	}
	allowed := http.NewServeMux()
	for _, pattern := range d.Allow {
		allowed.Handle(pattern, behind)
	}
	// gRPC comes over HTTP/2 without TLS, on the same port as everything else.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Addr:              d.Listen,
		Handler:           noStrangers(allowed, d.Origins),
		Protocols:         &protocols,
		ReadHeaderTimeout: 10 * time.Second,
	}
	return server.ListenAndServe()
}

func (d door) behind() (http.Handler, error) {
	target, network, address := &url.URL{Scheme: "http", Host: "behind"}, "unix", ""
	if path, isSocket := strings.CutPrefix(d.To, "unix:"); isSocket {
		address = path
	} else {
		parsed, err := url.Parse(d.To)
		if err != nil {
			return nil, err
		}
		target, network, address = parsed, "tcp", parsed.Host
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
	}
	var onlyHTTP2 http.Protocols
	onlyHTTP2.SetUnencryptedHTTP2(true)
	plain := &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConnsPerHost: 16}
	http2 := &http.Transport{DialContext: dial, DisableCompression: true, Protocols: &onlyHTTP2}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Body = toItsLength(r.Out)
		},
		Transport:     byProtocol{plain, http2},
		FlushInterval: -1, // Answers that grow while they are read shall be seen growing.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "nobody answers behind this door: "+err.Error(), http.StatusBadGateway)
		},
	}, nil
}

// The transport reads on behind a body's last byte, to see that none follows. Whoever is asked may
// have answered by then; as soon as that answer is begun, the server closes what it read the question
// from, and the transport takes that for a broken question and hangs up in the middle of the answer
// (https://github.com/golang/go/issues/40747). So here the body ends where its length says.
func toItsLength(r *http.Request) io.ReadCloser {
	if r.Body == nil || r.ContentLength <= 0 {
		return r.Body
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r.Body, r.ContentLength), r.Body}
}

type byProtocol struct{ plain, http2 *http.Transport }

func (b byProtocol) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Content-Type") == "application/grpc" {
		return b.http2.RoundTrip(r)
	}
	return b.plain.RoundTrip(r)
}

// Browsers put Origin on all that they send from one site to another, but for links and pictures,
// which only read (https://fetch.spec.whatwg.org/#origin-header); a page under a rebound name is
// known by that name. No program sends the one, nor calls loopback anything else.
func noStrangers(next http.Handler, origins []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		switch {
		case !isLoopback(r.Host):
			http.Error(w, "expected a loopback name as Host", http.StatusForbidden)
		case origin != "" && !slices.Contains(origins, origin):
			http.Error(w, "a page of this origin has no business here", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return name == "127.0.0.1" || name == "localhost" || name == "::1" || name == "[::1]"
}
