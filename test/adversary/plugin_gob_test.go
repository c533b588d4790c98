// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
)

// TestGobBombs calls with arguments, and headers, that cost more to read than to send.
// Each call ends with its reason, or the session does.
func TestGobBombs(t *testing.T) {
	t.Parallel()
	for name, args := range gobBombs() {
		t.Run(name, func(t *testing.T) {
			underBomb(t, "with the feature mux", name, bombMux, args)
			underBomb(t, "in yamux", name, bombYamux, gobHeader(t, "Plugin.Greet")+args)
		})
	}
	t.Run("a header 100,000 slices deep", func(t *testing.T) {
		underBomb(t, "in yamux", "a header 100,000 slices deep", bombYamux, deepHeader(100_000))
	})
}

func underBomb(t *testing.T, how, name string, send func(*testing.T, *victim, string) string, sent string) {
	t.Helper()
	v := startPlugin(t)
	f := measure(t, "a call of net/rpc %s, %s", how, name)
	host := v.newcomers(v.clientConfig)
	began := time.Now()
	said := send(t, v, sent)
	f.within("it ended after", time.Since(began), promptly)
	if said == "" || len(said) > 4<<10 {
		t.Errorf("it was told %d bytes: %.200q", len(said), said)
	}
	f.served("newcomers", host)
	v.lives()
	f.bytes("memory", v.peakMemory(), strangersMemory)
	f.bytes("log", v.log.size(), logBound(patience/10))
}

// greeted is a connection of net/rpc that is past its handshake.
func greeted(t *testing.T, v *victim, features ...string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, v.addr)
	_, _ = io.WriteString(conn, requestLine(map[string]any{"versions": []int{1}, "protocols": []string{"netrpc"}, "features": features}))
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, `"answer"`) {
		t.Fatalf("%q, %v", line, err)
	}
	return conn, r
}

// bombMux calls a greeter by the messages of mux (PROTOCOL.md, "Messages"), and
// gives what comes back on its channel, until the connection ends.
func bombMux(t *testing.T, v *victim, args string) string {
	t.Helper()
	conn, r := greeted(t, v, "mux")
	message := func(kind byte, rest string) string {
		return string(binary.BigEndian.AppendUint32(nil, uint32(1+len(rest)))) + string([]byte{kind}) + rest
	}
	const channel, method = "\x02", "Plugin.Greet"
	go func() {
		_, _ = io.WriteString(conn, message(11, channel+"greeter"))
		_, _ = io.WriteString(conn, message(0x80+1, channel+"\x01"+string([]byte{byte(len(method))})+method+args))
	}()
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(r, head); err != nil {
			return err.Error()
		}
		body := make([]byte, min(binary.BigEndian.Uint32(head), 1<<20))
		if _, err := io.ReadFull(r, body); err != nil {
			return err.Error()
		}
		if kind := body[0] &^ 0x80; kind == 2 || kind == 3 {
			return string(body[1:])
		}
	}
}

// bombYamux does so as every host of net/rpc can.
func bombYamux(t *testing.T, v *victim, sent string) string {
	t.Helper()
	conn, r := greeted(t, v)
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	session, err := yamux.Client(buffered{conn, r}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var streams [4]net.Conn // control, stdout, stderr, and the greeter's
	for i := range streams {
		if streams[i], err = session.Open(); err != nil {
			t.Fatal(err)
		}
	}
	var id uint32
	if err := rpc.NewClient(streams[0]).Call("Dispenser.Dispense", "greeter", &id); err != nil {
		t.Fatal(err)
	}
	greeter := streams[3]
	_ = greeter.SetDeadline(time.Now().Add(patience))
	_, _ = greeter.Write(binary.LittleEndian.AppendUint32(nil, id))
	if _, err := io.ReadFull(greeter, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(greeter, sent)
		_ = greeter.Close() // There is no more: what is awaited does not come.
	}()
	said := make([]byte, 4<<10)
	n, err := greeter.Read(said)
	if err != nil {
		return err.Error()
	}
	return string(said[:n])
}
