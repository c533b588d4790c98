// SPDX-License-Identifier: MPL-2.0

package mux_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/rpc"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// golden holds that the next bytes of a connection are these, in hexadecimal.
func golden(t *testing.T, r io.Reader, what, want string) {
	t.Helper()
	want = strings.ReplaceAll(want, " ", "")
	got := make([]byte, len(want)/2)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if hex.EncodeToString(got) != want {
		t.Errorf("%s is %x, want %s", what, got, want)
	}
}

// TestGoldenFramesOfHost holds the bytes of what a host sends beside parts, which
// TestProtocolAsPlugin has, and streams, which TestStreamFrames has.
func TestGoldenFramesOfHost(t *testing.T) {
	here, there := tcp(t)
	defer there.Close()
	h := mux.NewHost(here, mux.HostConfig{})
	defer h.Close()
	c, err := h.Open("thing")
	if err != nil {
		t.Fatal(err)
	}
	// FRESH request 5 on channel 2: 1000 µs, one pair, Plugin.Echo, "a" as a gob stream.
	request := mux.Request{Method: "Plugin.Echo", Number: 5, Timeout: 1_000_000, Metadata: map[string][]string{"key": {"v"}}}
	if _, err := c.Send(request, "a"); err != nil {
		t.Fatal(err)
	}
	golden(t, there, "open", "00000007 09 02 7468696e67")
	golden(t, there, "request", "0000001d 81 02 05 e807 01 03 6b6579 01 76 0b 506c7567696e2e4563686f 040c000161")
	request.Number, request.Timeout, request.Metadata = 300, 0, nil
	if _, err := c.Send(request, "b"); err != nil {
		t.Fatal(err)
	}
	golden(t, there, "the next request", "00000017 01 02 ac02 00 00 0b 506c7567696e2e4563686f 040c000162")
	c.Cancel(5)
	golden(t, there, "cancel", "00000003 05 02 05")
	h.TellAccepted(135)
	golden(t, there, "accepts", "00000003 14 8701")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Ping(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	golden(t, there, "probe", "00000001 10")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	golden(t, there, "release", "00000002 08 02")
}

// TestGoldenFramesOfPlugin does so for a plugin, whose frames answer those of a host.
func TestGoldenFramesOfPlugin(t *testing.T) {
	here, there := tcp(t)
	server := rpc.NewServer()
	if err := server.RegisterName("Plugin", echoer{}); err != nil {
		t.Fatal(err)
	}
	accept := mux.Acceptors{mux.Brokered: func(s *mux.Stream) error { return s.Accept() }}
	p := mux.NewPlugin(there, mux.PluginConfig{Accept: accept, Open: func(string) (mux.Handler, error) { return server, nil }})
	served := make(chan struct{})
	go func() { defer close(served); _ = serve(p) }()
	defer func() { _ = here.Close(); <-served }()
	say := func(frames string) {
		t.Helper()
		b, err := hex.DecodeString(strings.ReplaceAll(frames, " ", ""))
		if err == nil {
			_, err = here.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	say("00000007 09 02 7468696e67" + "00000016 81 02 05 00 00 0b 506c7567696e2e4563686f 040c000161")
	golden(t, here, "answer", "00000008 82 02 05 040c000161")
	say("00000017 01 02 ac02 00 00 0b 506c7567696e2e4661696c 040c000162")
	golden(t, here, "failure", "00000005 03 02 ac02 62")
	say("00000016 13 02 06 00 00 0b 506c7567696e2e4661696c 040c000162")
	text := "the host has given the call up"
	golden(t, here, "the answer to what was withdrawn", "00000022 04 02 06 03"+hex.EncodeToString([]byte(text)))
	say("00000001 10")
	golden(t, here, "alive", "00000001 11")
	say("00000004 0a 02 01 07") // a brokered stream
	golden(t, here, "credit", "00000003 0c 02 00")
	say("00000004 0a 04 4d 07") // of no purpose that there is
	var head [4]byte
	if _, err := io.ReadFull(here, head[:]); err != nil {
		t.Fatal(err)
	}
	golden(t, here, "reset", "0e 04")
	if _, err := io.CopyN(io.Discard, here, int64(head[3])-2); err != nil {
		t.Fatal(err)
	}
	p.SayDraining()
	golden(t, here, "draining", "00000001 0f")
	say("00000000") // malformed
	if _, err := io.ReadFull(here, head[:]); err != nil {
		t.Fatal(err)
	}
	golden(t, here, "bye", "12")
	if rest, _ := io.ReadAll(here); len(rest) != int(head[3])-1 || len(rest) == 0 {
		t.Errorf("the goodbye says %q", rest)
	}
}

// serve serves the plugin's side of a session, and returns why that has ended.
func serve(p *mux.Plugin) error {
	ended := make(chan error, 1)
	go p.Serve(func(err error) { ended <- err })
	return <-ended
}
