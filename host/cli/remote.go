// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/daemon"
)

// What is read of a daemon's answers, in bytes.
const (
	maxAnswer = 64 << 20
	maxHealth = 1 << 10 // what /healthz says
)

// healthTimeout bounds the look whether a daemon runs on this machine.
const healthTimeout = time.Second

// remote is a running daemon, by its HTTP API.
type remote struct {
	base  *url.URL
	token string
	// state asks how things are, which a daemon answers at once; calls take as long
	// as the daemon lets them.
	state, calls *http.Client
	patience     time.Duration // for an answer about how things are
}

// newRemote gives the daemon at c.Server. given says in an error where that was given.
func (c *config) newRemote(given string) (*remote, error) {
	address := c.Server
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, failf(exitUsage, "%s%q: want a URL such as http://127.0.0.1:8080", given, c.Server)
	}
	r := &remote{base: base, state: c.httpClient(c.AttachTimeout), calls: c.httpClient(0), patience: c.AttachTimeout}
	if c.TokenFile != "" {
		raw, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return nil, failf(exitUsage, "%s: %w", c.own("TOKEN_FILE"), err)
		}
		r.token = strings.TrimSpace(string(raw))
	}
	return r, nil
}

// httpClient gives one that waits for answers to begin as long as patience, or for
// ever if that is zero.
func (c *config) httpClient(patience time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: c.AttachTimeout}).DialContext,
		TLSHandshakeTimeout:   c.AttachTimeout,
		ResponseHeaderTimeout: patience,
	}}
}

// Close implements client.
func (r *remote) Close() error {
	r.state.CloseIdleConnections()
	r.calls.CloseIdleConnections()
	return nil
}

// Plugins implements client.
func (r *remote) Plugins(ctx context.Context) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	var answer found
	err := r.ask(ctx, http.MethodGet, nil, &answer, "plugins")
	return answer, err
}

// Kinds implements client.
func (r *remote) Kinds(ctx context.Context) ([]daemon.KindInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	var answer struct {
		Kinds []daemon.KindInfo `json:"kinds"`
	}
	err := r.ask(ctx, http.MethodGet, nil, &answer, "kinds")
	return answer.Kinds, err
}

// Describe implements client.
func (r *remote) Describe(ctx context.Context, plugin string) ([]daemon.KindInfo, error) {
	known, err := r.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	return servedBy(all, plugin, known)
}

// Events implements client.
func (r *remote) Events(ctx context.Context, list func(lookBack) error, show func(daemon.Event) error) error {
	return r.stream(ctx, func(events *eventReader) error {
		switch events.name {
		case "plugins":
			read, err := readEvent(r, events, maxAnswer, list)
			if !read && err == nil {
				err = failf(exitUnreachable, "the daemon at %s lists plugins in more than %d bytes", r.base, maxAnswer)
			}
			return err
		case "change":
			_, err := readEvent(r, events, maxEvent, show)
			return err
		}
		return nil
	})
}

// readEvent calls use with what an event says, and reports whether it has read it: not one
// that is longer than most bytes.
func readEvent[T any](r *remote, events *eventReader, most int, use func(T) error) (read bool, err error) {
	raw, err := events.data(most)
	if err != nil || raw == nil {
		return false, err
	}
	var said T
	if err := json.Unmarshal(raw, &said); err != nil {
		return false, failf(exitUnreachable, "read the events of the daemon at %s: %w", r.base, err)
	}
	return true, use(said)
}

// Watch implements client. Every event is a hint to look again.
func (r *remote) Watch(ctx context.Context, show func(found) error) error {
	return r.stream(ctx, func(*eventReader) error {
		now, err := r.Plugins(ctx)
		if err == nil {
			err = show(now)
		}
		return err
	})
}

// stream calls each for every event until ctx ends.
func (r *remote) stream(ctx context.Context, each func(*eventReader) error) error {
	answer, err := r.send(ctx, http.MethodGet, nil, "events")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	events := newEventReader(answer.Body)
	for {
		err := events.next()
		if err == nil {
			err = each(events)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case events.err == nil && err != nil: // of each
			return err
		case errors.Is(err, io.EOF):
			return away("the daemon at %s ended the stream of events", r.base)
		case err != nil:
			return away("read the events of the daemon at %s: %w", r.base, err)
		}
	}
}

// Call implements client.
func (r *remote) Call(ctx context.Context, plugin, kind, method string, args json.RawMessage) (json.RawMessage, error) {
	var answer struct {
		Result json.RawMessage `json:"result"`
	}
	err := r.ask(ctx, http.MethodPost, args, &answer, "plugins", plugin, "kinds", kind, "methods", method)
	return answer.Result, err
}

func (r *remote) ask(ctx context.Context, verb string, body []byte, into any, path ...string) error {
	answer, err := r.send(ctx, verb, body, path...)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return failf(exitUnreachable, "read the answer of %s: %w", r.base, err)
	}
	return nil
}

// send gives an answer that is no problem. The caller closes its body.
func (r *remote) send(ctx context.Context, verb string, body []byte, path ...string) (*http.Response, error) {
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	to := r.base.JoinPath(append([]string{"api", "v1"}, path...)...)
	request, err := http.NewRequestWithContext(ctx, verb, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	client := r.state
	if verb == http.MethodPost {
		client = r.calls
	}
	answer, err := client.Do(request)
	if _, distrusted := errors.AsType[*tls.CertificateVerificationError](err); distrusted {
		return nil, failf(exitUnreachable, "ask the daemon: %w", err)
	}
	if err != nil {
		return nil, away("ask the daemon: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	err = refused(answer)
	switch answer.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		err = &awayError{err} // the daemon's, or a proxy's before it
	}
	return nil, err
}

// maxProblem is how much of a problem is read, in bytes.
const maxProblem = 1 << 20

// refused reads a problem as RFC 9457 has it.
func refused(answer *http.Response) error {
	var p struct {
		Type, Title, Detail, Source string
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil || json.Unmarshal(raw, &p) != nil || p.Title == "" {
		return failf(exitUnreachable, "the server answered %s, and not as a daemon does", printable.Clip(answer.Status, printable.MaxText))
	}
	code := exitFailed
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		code = exitUsage
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		code = exitUnreachable
	case http.StatusInternalServerError:
		if p.Source == "network" { // lost or not answered, and may have run
			code = exitUnreachable
		}
	}
	if p.Source == "plugin" || strings.HasPrefix(p.Type, "urn:reattach:") { // the detail says all that the title does
		return &failure{code, errors.New(cmp.Or(p.Detail, p.Title))}
	}
	return failf(code, "%s: %s", lowerFirst(p.Title), p.Detail)
}

// lowerFirst makes a title the beginning of an error.
func lowerFirst(title string) string {
	first, size := utf8.DecodeRuneInString(title)
	return string(unicode.ToLower(first)) + title[size:]
}

// daemonHere gives the URL of a daemon that answers at the program's own address, as
// it does in the daemon's own container; empty if none does, or if the environment names
// plugins to attach to and no address.
func (c *config) daemonHere(ctx context.Context) string {
	_, asked := os.LookupEnv(c.own("LISTEN"))
	if c.Listen == "" || !asked && c.namesPlugins() {
		return ""
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	base := "http://" + net.JoinHostPort(host, port)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return ""
	}
	client := c.httpClient(0)
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !saysHealthy(answer.Body) {
		return "" // some other server
	}
	return base
}

// saysHealthy reports whether an answer is that of a daemon's /healthz.
func saysHealthy(answer io.Reader) bool {
	var health struct{ Status string }
	return json.NewDecoder(io.LimitReader(answer, maxHealth)).Decode(&health) == nil && health.Status == "ok"
}
