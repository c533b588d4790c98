// SPDX-License-Identifier: MPL-2.0

package conform

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"
)

const handshakeSection = "5. The handshake"

// shakes skips what only concerns plugins that know the handshake.
func shakes(test func(context.Context, *subject) error) func(context.Context, *subject) error {
	return func(ctx context.Context, s *subject) error {
		if s.answer == nil {
			return notApplicable("the plugin does not answer a hello")
		}
		return test(ctx, s)
	}
}

func handshakeCases() []testCase {
	all := []testCase{
		{code: "H01", requirement: "a hello is answered with one line: core 1, a version and a protocol of the request, texts of at most 1024 bytes", test: checkAnswer},
		{code: "H02", requirement: "members that the plugin does not know are ignored", test: func(ctx context.Context, s *subject) error {
			r := s.ordinary()
			r.Unknown = map[string]int{"a": 1}
			_, err := s.answered(ctx, r)
			return err
		}},
		{code: "H03", requirement: "features are granted only if they were asked for", test: checkFeatures},
		{code: "H04", requirement: "the same request gives the same answer", test: func(ctx context.Context, s *subject) error {
			again, err := s.answered(ctx, s.ordinary())
			if err == nil && !reflect.DeepEqual(again, s.answer) {
				err = wantf(fmt.Sprintf("%+v as before", *s.answer), "%+v", *again)
			}
			return err
		}},
		{code: "H05", requirement: "of the versions that both have, the highest is chosen", test: func(ctx context.Context, s *subject) error {
			r := s.ordinary()
			r.Versions = append([]int{1<<31 - 1}, r.Versions...)
			chosen, err := s.answered(ctx, r)
			if err == nil && chosen.Version != s.answer.Version {
				err = wantf(fmt.Sprint("version ", s.answer.Version), "%d", chosen.Version)
			}
			return err
		}},
		{code: "H06", requirement: "another cookie is refused: cookie", test: checkCookie},
		{code: "H07", requirement: "a host without a version of the plugin's is refused: version, with the plugin's versions", test: func(ctx context.Context, s *subject) error {
			r := s.ordinary()
			r.Versions = []int{1<<31 - 1}
			refused, err := s.refused(ctx, s.line(r), "version")
			if err == nil && !slices.Contains(refused.Versions, s.answer.Version) {
				err = wantf(fmt.Sprintf("%d among the versions", s.answer.Version), "%v", refused.Versions)
			}
			return err
		}},
		{code: "H08", requirement: "a host without a protocol of the plugin's is refused: protocol", test: func(ctx context.Context, s *subject) error {
			r := s.ordinary()
			r.Protocols = []string{"none of this version"}
			_, err := s.refused(ctx, s.line(r), "protocol")
			return err
		}},
		{code: "H09", requirement: "another core is refused: core", test: func(ctx context.Context, s *subject) error {
			_, err := s.refused(ctx, bytes.Replace(s.line(s.ordinary()), []byte("go-plugin/1"), []byte("go-plugin/2"), 1), "core")
			return err
		}},
		{code: "H10", requirement: "a line that is not JSON is refused: malformed", test: func(ctx context.Context, s *subject) error {
			_, err := s.refused(ctx, []byte("go-plugin/1 {\"core\":\n"), "malformed")
			return err
		}},
		{code: "H11", requirement: "a line of more than 16 KiB is not taken in", test: checkLongLine},
		{code: "H12", requirement: "a line may come in pieces, with CR before its LF", test: checkPieces},
	}
	for i := range all {
		all[i].section, all[i].test = handshakeSection, shakes(all[i].test)
	}
	return all
}

func checkAnswer(ctx context.Context, s *subject) error {
	r := s.ordinary()
	a, err := s.answered(ctx, r)
	switch {
	case err != nil:
		return err
	case a.Core != 1:
		return wantf("core 1", "%d", a.Core)
	case !slices.Contains(r.Versions, a.Version):
		return wantf(fmt.Sprint("a version of ", r.Versions), "%d", a.Version)
	case !slices.Contains(r.Protocols, a.Protocol):
		return wantf(fmt.Sprint("a protocol of ", r.Protocols), "%q", a.Protocol)
	}
	for _, text := range append([]string{a.Name, a.Instance}, a.Features...) {
		if len(text) > maxText {
			return wantf("texts of at most 1024 bytes", "one of %d", len(text))
		}
	}
	return nil
}

func checkFeatures(ctx context.Context, s *subject) error {
	for _, asked := range [][]string{nil, {"goaway"}, {"a-feature-that-nobody-has"}} {
		r := s.ordinary()
		r.Features = asked
		a, err := s.answered(ctx, r)
		if err != nil {
			return err
		}
		for _, granted := range a.Features {
			if !slices.Contains(asked, granted) || strings.HasPrefix(granted, "a-feature") {
				return wantf(fmt.Sprintf("nothing beyond %q that exists", asked), "%q", granted)
			}
		}
	}
	return nil
}

func checkCookie(ctx context.Context, s *subject) error {
	value, key := s.ordinary(), s.ordinary()
	value.Cookie.Value += "x"
	key.Cookie.Key += "x"
	for _, r := range []request{value, key, {Core: 1, Versions: key.Versions, Protocols: key.Protocols}} {
		if _, err := s.refused(ctx, s.line(r), "cookie"); err != nil {
			return err
		}
	}
	return nil
}

// checkLongLine sends twice the bound, and then what would make a good line of it.
func checkLongLine(ctx context.Context, s *subject) error {
	r := s.ordinary()
	text := bytes.Replace(s.line(r), []byte("{"), slices.Concat([]byte("{"), bytes.Repeat([]byte(" "), 2*maxRequest)), 1)
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	said, _, err := s.exchange(conn, text)
	if err == nil && said.Answer != nil {
		return wantf("a refusal or the end", "an answer")
	}
	if n, ok := err.(net.Error); ok && n.Timeout() {
		return err
	}
	return nil
}

// pieceWait is long enough for a piece to be read alone.
const pieceWait = 20 * time.Millisecond

func checkPieces(ctx context.Context, s *subject) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	text := bytes.TrimSuffix(s.line(s.ordinary()), []byte("\n"))
	for _, piece := range [][]byte{text[:3], text[3:20], text[20:], []byte("\r")} {
		if _, err := conn.Write(piece); err != nil {
			return err
		}
		select {
		case <-time.After(pieceWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	said, _, err := s.exchange(conn, []byte("\n"))
	if err == nil && said.Answer == nil {
		err = wantf("an answer", "the refusal %q", said.Refusal.Code)
	}
	return err
}
