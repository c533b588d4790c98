// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// quoted is how many bytes of a strange peer's answer an error shows.
const quoted = 64

// ReadRequest reads a host's line. It consumes that line with its newline and
// not a byte more, so r can be handed on to the protocol that follows; and it
// reads at most MaxRequest bytes. Deadlines are the caller's.
//
// A request that breaks the rules is returned as a *Refusal, to be written
// back. A peer that speaks something else gives a *NotHelloError, and the bytes
// it sent are left in r.
func ReadRequest(r *bufio.Reader) (*Request, error) {
	body, err := readLine(r, MaxRequest)
	if err != nil {
		return nil, err
	}
	var req Request
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, malformed("the host's hello is not the JSON that is expected: %v", err)
	}
	if req.Core != Core {
		return nil, refuseCore("core " + strconv.Itoa(req.Core))
	}
	if refusal := req.check(); refusal != nil {
		return nil, refusal
	}
	return &req, nil
}

// ReadAnswer reads a plugin's line, under the same rules as ReadRequest, up to
// MaxAnswer bytes. The plugin's refusal is returned as a *Refusal. A peer that
// answers with something else, or closes the connection, gives a
// *NotHelloError, which says what the peer seems to be. A deadline that passes
// before the first byte gives an error for which errors.Is(err,
// os.ErrDeadlineExceeded) holds.
func ReadAnswer(r *bufio.Reader) (*Answer, error) {
	body, err := readLine(r, MaxAnswer)
	if err != nil {
		return nil, answerError(err)
	}
	var line answerLine
	if err := json.Unmarshal(body, &line); err != nil {
		return nil, fmt.Errorf("read the plugin's hello: %w", err)
	}
	switch {
	case line.Refusal != nil:
		line.Refusal.clean()
		return nil, line.Refusal
	case line.Answer == nil:
		return nil, errors.New("read the plugin's hello: it holds neither an answer nor a refusal")
	}
	if line.Answer.Core != Core {
		return nil, fmt.Errorf("read the plugin's hello: it speaks core %d, this host core %d", line.Answer.Core, Core)
	}
	if err := line.Answer.check(); err != nil {
		return nil, fmt.Errorf("read the plugin's hello: %w", err)
	}
	return line.Answer, nil
}

// answerError turns what readLine says about a host's line into words about a
// plugin's: a *Refusal must mean that the plugin sent one.
func answerError(err error) error {
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return fmt.Errorf("read the plugin's hello: %s", refusal.Message)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("read the plugin's hello: the peer did not finish it in time: %w", err)
	}
	return err
}

// readLine reads `go-plugin/1 BODY\n` and returns BODY.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	if err := expectPrefix(r); err != nil {
		return nil, err
	}
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return nil, &Refusal{Code: CodeTooLarge, Message: fmt.Sprintf("the hello is longer than %d bytes", limit)}
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("read hello: the line broke off after %d bytes: %w", len(line), err)
		}
	}
	number, body, found := strings.Cut(string(line[len(Prefix):]), " ")
	core, err := strconv.ParseUint(strings.TrimSpace(number), 10, 16)
	switch {
	case err != nil:
		return nil, malformed("the hello begins with %q, not with %q", clip(string(line)), Prefix+"1 ")
	case core != Core:
		return nil, refuseCore(Prefix + strconv.FormatUint(core, 10))
	case !found:
		return nil, malformed("the hello holds nothing after %q", clip(string(line)))
	}
	return []byte(body), nil
}

// expectPrefix looks at one byte after the other, so that a peer that speaks
// something else is known by its first byte and not waited for.
func expectPrefix(r *bufio.Reader) error {
	for n := 1; n <= len(Prefix); n++ {
		head, err := r.Peek(n)
		if len(head) == n && head[n-1] == Prefix[n-1] {
			continue
		}
		if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("read hello: %w", err)
		}
		first, _ := r.Peek(min(r.Buffered(), quoted))
		return &NotHelloError{First: append([]byte(nil), first...), Guess: guess(first), Err: err}
	}
	return nil
}
