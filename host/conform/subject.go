// SPDX-License-Identifier: MPL-2.0

package conform

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/target"
)

// Bounds of PROTOCOL.md, section 5, in bytes.
const (
	maxRequest = 16 << 10
	maxAnswer  = 64 << 10
	maxText    = 1 << 10
)

// defaultTimeout is how long a plugin has for an answer.
const defaultTimeout = 10 * time.Second

// subject is the plugin under test, and what it said at first.
type subject struct {
	Target
	answer *answer // to an ordinary request; nil: it does not know the handshake
}

// request is a host's line.
type request struct {
	Core      int            `json:"core"`
	Cookie    cookie         `json:"cookie"`
	Versions  []int          `json:"versions"`
	Protocols []string       `json:"protocols"`
	Features  []string       `json:"features,omitempty"`
	Host      string         `json:"host,omitempty"`
	Unknown   map[string]int `json:"aMemberOfALaterVersion,omitempty"`
}

type cookie struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// line is a plugin's.
type line struct {
	Answer  *answer  `json:"answer"`
	Refusal *refusal `json:"refusal"`
}

type answer struct {
	Core     int      `json:"core"`
	Version  int      `json:"version"`
	Protocol string   `json:"protocol"`
	Features []string `json:"features"`
	Name     string   `json:"name"`
	Instance string   `json:"instance"`
}

type refusal struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	Versions []int  `json:"versions"`
}

// newSubject asks the plugin what it is.
func newSubject(ctx context.Context, target Target) (*subject, error) {
	if target.Timeout == 0 {
		target.Timeout = defaultTimeout
	}
	s := &subject{Target: target}
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer conn.Close()
	said, _, err := s.exchange(conn, s.line(s.ordinary()))
	switch {
	case err == nil && said.Answer != nil:
		s.answer = said.Answer
	case err == nil && said.Refusal != nil:
		return nil, fmt.Errorf("%w: it refuses this host (%s): %s", ErrUnreachable, said.Refusal.Code, said.Refusal.Message)
	}
	return s, nil // The cases say what is wrong with its answer.
}

// ordinary is what a host says that has all versions and protocols, and wants nothing
// special.
func (s *subject) ordinary() request {
	return request{
		Core:      1,
		Cookie:    cookie{s.Handshake.MagicCookieKey, s.Handshake.MagicCookieValue},
		Versions:  slices.Sorted(maps.Keys(s.Versions)),
		Protocols: []string{string(plugin.ProtocolGRPC), string(plugin.ProtocolNetRPC)},
		Host:      "conform",
	}
}

func (s *subject) line(r request) []byte {
	body, err := json.Marshal(r)
	if err != nil {
		panic(err) // numbers and strings alone
	}
	return slices.Concat([]byte("go-plugin/1 "), body, []byte("\n"))
}

// connect makes a connection to the plugin's address.
func (s *subject) connect(ctx context.Context) (net.Conn, error) {
	to := target.NetAddr(s.Address)
	return (&net.Dialer{Timeout: s.Timeout}).DialContext(ctx, to.Network(), to.String())
}

// authority is what HTTP/2 names the plugin.
func (s *subject) authority() string {
	if strings.HasPrefix(s.Address, target.SocketScheme) {
		return "localhost"
	}
	return s.Address
}

// dial connects, and shakes hands by TLS. The connection has a deadline for all of it.
func (s *subject) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(s.Timeout))
	if s.TLS == nil {
		return conn, nil
	}
	secure := tls.Client(conn, s.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// exchange sends a line and reads one.
func (s *subject) exchange(conn net.Conn, text []byte) (line, *bufio.Reader, error) {
	r := bufio.NewReaderSize(conn, maxAnswer)
	if _, err := conn.Write(text); err != nil {
		return line{}, r, fmt.Errorf("send: %w", err)
	}
	said, err := readLine(r)
	return said, r, err
}

// readLine reads a plugin's line by the rules of its grammar.
func readLine(r *bufio.Reader) (line, error) {
	text, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return line{}, fmt.Errorf("the line is longer than %d bytes", maxAnswer)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return line{}, errors.New("no answer in time")
	case err != nil && len(text) == 0:
		return line{}, fmt.Errorf("no answer: %w", err)
	case err != nil:
		return line{}, fmt.Errorf("the answer breaks off after %+q: %w", text[:min(len(text), 64)], err)
	}
	body, found := bytes.CutPrefix(text, []byte("go-plugin/1 "))
	if !found {
		return line{}, fmt.Errorf("the answer begins with %+q, not with \"go-plugin/1 \"", text[:min(len(text), 64)])
	}
	if !utf8.Valid(body) {
		return line{}, errors.New("the answer is not UTF-8")
	}
	var said line
	if err := json.Unmarshal(body, &said); err != nil {
		return line{}, fmt.Errorf("the answer is not the JSON that is expected: %w", err)
	}
	if (said.Answer == nil) == (said.Refusal == nil) {
		return line{}, errors.New("the answer holds neither \"answer\" nor \"refusal\", or both")
	}
	return said, nil
}

// greet makes a connection, says r on it, and gives what the plugin says. The caller
// closes the connection if there is no error.
func (s *subject) greet(ctx context.Context, r request) (line, net.Conn, *bufio.Reader, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return line{}, nil, nil, err
	}
	said, rest, err := s.exchange(conn, s.line(r))
	if err != nil {
		_ = conn.Close()
	}
	return said, conn, rest, err
}

// answered is greet for a request that must be answered, on a connection that is closed
// again.
func (s *subject) answered(ctx context.Context, r request) (*answer, error) {
	said, conn, _, err := s.greet(ctx, r)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if said.Answer == nil {
		return nil, wantf("an answer", "the refusal %q: %s", said.Refusal.Code, said.Refusal.Message)
	}
	return said.Answer, nil
}

// refused sends text, and expects a refusal with that code, and then the end.
func (s *subject) refused(ctx context.Context, text []byte, code string) (*refusal, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	said, rest, err := s.exchange(conn, text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("want a refusal %q: %w", code, err)
	case said.Refusal == nil:
		return nil, wantf("a refusal "+code, "an answer")
	case said.Refusal.Code != code:
		return nil, wantf("a refusal "+code, "%q", said.Refusal.Code)
	case said.Refusal.Message == "" || len(said.Refusal.Message) > maxText:
		return nil, wantf("a message of 1 to 1024 bytes", "%d bytes", len(said.Refusal.Message))
	}
	if err := ended(rest); err != nil {
		return nil, fmt.Errorf("after the refusal: %w", err)
	}
	return said.Refusal, nil
}

// ended waits for the plugin to close the connection.
func ended(r io.Reader) error {
	n, err := io.Copy(io.Discard, r)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the connection stays open")
	case n > 0:
		return fmt.Errorf("%d more bytes", n)
	}
	return nil // a reset is an end, too
}
