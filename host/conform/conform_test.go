// SPDX-License-Identifier: MPL-2.0

package conform_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/host/conform"
	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is the handshake of a plugin, of which a test can change the parts. Whatever
// comes after the handshake is beyond it.
type fake struct {
	reply    func(body string) string // the answer to a line, LF included
	stranger func(first byte) string  // the answer to what is no hello
	linger   bool                     // keeps the connection open after a refusal
	limit    int                      // bytes of a line
}

// patience is how long a plugin has for what it owes. The one that lingers is waited for in
// vain, many times: it has less, and on a busy machine it may be late with what it does give.
func (f fake) patience() time.Duration {
	if f.linger {
		return 500 * time.Millisecond
	}
	return time.Minute
}

const (
	goodAnswer = `go-plugin/1 {"answer":{"core":1,"version":1,"protocol":"grpc","name":"fake","instance":"one"}}` + "\n"
)

func refuse(code string) string {
	return fmt.Sprintf(`go-plugin/1 {"refusal":{"code":%q,"message":"no","versions":[1]}}`+"\n", code)
}

// honest answers as PROTOCOL.md says.
func honest(body string) string {
	core, body, _ := strings.Cut(body, " ")
	var r struct {
		Cookie    struct{ Key, Value string }
		Versions  []int
		Protocols []string
	}
	switch {
	case core != "go-plugin/1":
		return refuse("core")
	case json.Unmarshal([]byte(body), &r) != nil:
		return refuse("malformed")
	case r.Cookie.Key != "K" || r.Cookie.Value != "V":
		return refuse("cookie")
	case !slices.Contains(r.Versions, 1):
		return refuse("version")
	case !slices.Contains(r.Protocols, "grpc"):
		return refuse("protocol")
	}
	return goodAnswer
}

func (f fake) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, f.limit)
	first, err := r.Peek(3)
	if err != nil {
		return
	}
	if string(first) != "go-" {
		_, _ = io.WriteString(conn, f.stranger(first[0]))
		hangUp(conn)
		return
	}
	text, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		_, _ = io.WriteString(conn, refuse("too-large"))
		return
	}
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, f.reply(string(text)))
	if !f.linger {
		hangUp(conn)
	}
	_, _ = io.Copy(io.Discard, conn)
}

// hangUp ends the connection without cutting off what was said.
func hangUp(conn net.Conn) {
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

// failed runs all cases against f, and gives the codes of those that failed.
func (f fake) failed(t *testing.T) (codes []string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f.serve(conn) })
		}
	})
	defer all.Wait()
	defer lis.Close()
	err = conform.Run(t.Context(), conform.Target{
		Address:   lis.Addr().String(),
		Handshake: plugin.HandshakeConfig{MagicCookieKey: "K", MagicCookieValue: "V"},
		Versions:  map[int]plugin.PluginSet{1: {}},
		Timeout:   f.patience(),
	}, func(r conform.Result) {
		if r.Outcome == conform.Failed {
			if r.Detail == "" || r.Section == "" || r.Requirement == "" {
				t.Errorf("%s does not say why it failed: %+v", r.Code, r)
			}
			codes = append(codes, r.Code)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

func newFake() fake {
	return fake{reply: honest, limit: 16 << 10, stranger: func(first byte) string {
		if first == 0x16 {
			return "\x15\x03\x03\x00\x02\x02\x28"
		}
		return refuse("malformed")
	}}
}

// replace makes a plugin that answers honestly but for one thing.
func replace(when, code, with string) fake {
	f := newFake()
	f.reply = func(body string) string {
		said := honest(body)
		if strings.Contains(said, code) && strings.Contains(body, when) {
			return with
		}
		return said
	}
	return f
}

// TestCasesFindTheirFaults has plugins with one fault each, and looks that its case
// finds it, and no other case of the handshake. Of one that is late no more is held than
// that its case finds it.
func TestCasesFindTheirFaults(t *testing.T) {
	lingering, endless, silent := newFake(), newFake(), newFake()
	lingering.linger, endless.limit = true, 1<<20
	silent.stranger = func(byte) string { return "" }
	instances := 0
	changing := newFake()
	changing.reply = func(body string) string {
		instances++
		return strings.Replace(honest(body), "one", fmt.Sprint("i", instances), 1)
	}
	for name, tc := range map[string]struct {
		plugin fake
		want   []string
	}{
		"none":                        {newFake(), nil},
		"never ends a connection":     {lingering, []string{"H06", "H07", "H08", "H09", "H10"}},
		"reads on and on":             {endless, []string{"H11"}},
		"says nothing to strangers":   {silent, []string{"F03", "F04"}},
		"another instance each time":  {changing, []string{"H04"}},
		"any cookie will do":          {replace("", "cookie", goodAnswer), []string{"H06"}},
		"any version will do":         {replace("", `"version","message"`, goodAnswer), []string{"H07"}},
		"does not name its versions":  {replace("", `"version","message"`, `go-plugin/1 {"refusal":{"code":"version","message":"no"}}`+"\n"), []string{"H07"}},
		"any protocol will do":        {replace("", "protocol\",\"message", goodAnswer), []string{"H08"}},
		"any core will do":            {replace("", `"core","message"`, goodAnswer), []string{"H09"}},
		"takes what is no JSON":       {replace("", "malformed", goodAnswer), []string{"H10"}},
		"minds members of the future": {replace("LaterVersion", "answer", refuse("malformed")), []string{"H02"}},
		"grants whatever exists":      {replace("", "answer", strings.Replace(goodAnswer, `"name"`, `"features":["goaway"],"name"`, 1)), []string{"H03"}},
		"chooses by order":            {replace("[2147483647,1]", "answer", strings.Replace(goodAnswer, `"version":1`, `"version":0`, 1)), []string{"H05"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := slices.DeleteFunc(tc.plugin.failed(t), func(code string) bool {
				return code[0] == 'S' || code[0] == 'G' || code == "F01" || code == "F02" || code == "F05" // they want a whole plugin
			})
			if tc.plugin.linger {
				got = slices.DeleteFunc(got, func(code string) bool { return !slices.Contains(tc.want, code) })
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("failed: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	refusing := newFake()
	refusing.reply = func(string) string { return refuse("cookie") }
	at := conform.Target{Address: address.Hold(t)}
	err := conform.Run(t.Context(), at, nil)
	if !errors.Is(err, conform.ErrUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := conform.Run(ctx, at, nil); err == nil {
		t.Error("no error after the context has ended")
	}
}
