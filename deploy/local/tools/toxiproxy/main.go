// Toxiproxy with a guard before its control API.
//
// Toxiproxy listens on loopback, which is open to every account of the machine, to every program
// of its user, and, under a rebound DNS name, to web pages. Whoever may speak to it opens a port
// to the network or harms the shop without a lease. So this program is Toxiproxy's own server, and
// before each of its answers it asks for a loopback name and for the secret out of a file.
package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

func main() {
	host := flag.String("host", "127.0.0.1", "where the control API listens")
	port := flag.String("port", "8474", "its port")
	config := flag.String("config", "", "JSON file of the proxies to begin with")
	secretFile := flag.String("secret-file", "", "file with what each request has to tell")
	version := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *version {
		fmt.Printf("toxiproxy-server version %s\n", toxiproxy.Version)
		return
	}
	if err := serve(net.JoinHostPort(*host, *port), *config, *secretFile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address, config, secretFile string) error {
	secret, err := read(secretFile)
	if err != nil {
		return err
	}
	logger := zerolog.New(os.Stdout).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	toxics := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), logger)
	if config != "" {
		toxics.PopulateConfig(config)
	}
	control := &http.Server{
		Addr:         address,
		Handler:      guarded(toxics.Routes(), secret),
		ReadTimeout:  15 * time.Second,
		WriteTimeout: 30 * time.Second,
		IdleTimeout:  60 * time.Second,
	}
	stopping, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- control.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-stopping.Done():
		return control.Close()
	}
}

// No file is no secret; a file that holds none would let everybody in, and is an error.
func read(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		return "", errors.New("expected a secret in " + file + ", found none")
	}
	return secret, nil
}

func guarded(next http.Handler, secret string) http.Handler {
	expected := []byte("Bearer " + secret)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told := []byte(r.Header.Get("Authorization"))
		switch {
		case !isLoopback(r.Host):
			http.Error(w, "expected a loopback name as Host", http.StatusForbidden)
		case secret != "" && subtle.ConstantTimeCompare(told, expected) != 1:
			http.Error(w, "the secret is missing", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// A page whose name was rebound to this machine still calls it by that name.
func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return name == "127.0.0.1" || name == "localhost" || name == "::1" || name == "[::1]"
}
