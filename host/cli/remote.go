// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
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

	"github.com/reattach/reattach/host/daemon"
)

// maxAnswer is how much is read of a daemon's answer, in bytes.
const maxAnswer = 64 << 20

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
func (r *remote) Describe(ctx context.Context, plugin string) (kinds []daemon.KindInfo, note string, err error) {
	known, err := r.Kinds(ctx)
	if err != nil {
		return nil, "", err
	}
	all, err := r.Plugins(ctx)
	if err != nil {
		return nil, "", err
	}
	return servedBy(all, plugin, known)
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
	answer, err := r.send(ctx, verb, "", body, path...)
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
func (r *remote) send(ctx context.Context, verb, query string, body []byte, path ...string) (*http.Response, error) {
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	to := r.base.JoinPath(append([]string{"api", "v1"}, path...)...)
	to.RawQuery = query
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
