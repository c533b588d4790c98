// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What one hostile plugin may cost a host: docs/bounds.md, "A host, towards plugins".
const (
	// hostMemory is what basic may occupy, of which some 45 MiB are its own: a line of
	// the handshake is 64 KiB, and no message is read here.
	hostMemory = 128 << 20
	// messageMemory is that while one message of 64 MiB arrives: it is there some eight
	// times, as it came, as text, as JSON, and as what the collector has not found yet.
	messageMemory = 640 << 20
	// hostLog is what it may write in a second about one endpoint, whatever that says:
	// tens of records of 4 KiB.
	hostLog = 256 << 10
	// spareHost descriptors and goroutines may be there for requests under way.
	spareHost = 40
)

// attackTime is how long a hostile plugin is attached.
const attackTime = 1500 * time.Millisecond

// answerOf is the line of a plugin that takes every host.
func answerOf(protocol string, more map[string]any) string {
	a := map[string]any{"core": 1, "version": map[string]int{"netrpc": 1, "grpc": 2}[protocol], "protocol": protocol, "name": "evil", "instance": "1"}
	for key, value := range more {
		a[key] = value
	}
	raw, _ := json.Marshal(map[string]any{"answer": a})
	return "go-plugin/1 " + string(raw) + "\n"
}

// manyKinds are as many as fit into the line of a plugin, with words that are too long.
func manyKinds() (kinds []map[string]any) {
	for i := range 600 {
		kinds = append(kinds, map[string]any{"name": fmt.Sprintf("kind-%03d-%s", i, strings.Repeat("x", 64))})
	}
	return kinds
}

// hostilePlugins are what a connection to one meets, after the host's line.
func hostilePlugins() map[string]func(net.Conn) {
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, text) }
	}
	hold := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, text)
			_, _ = io.Copy(io.Discard, c)
		}
	}
	endless := func(begin, each string) func(net.Conn) {
		return func(c net.Conn) {
			w := bufio.NewWriterSize(c, 64<<10)
			_, err := w.WriteString(begin)
			for err == nil {
				_, err = w.WriteString(each)
			}
		}
	}
	ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678" // of HTTP/2
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	return map[string]func(net.Conn){
		"says nothing":             hold(""),
		"hangs up":                 say(""),
		"half an answer":           say(answerOf("grpc", nil)[:40]),
		"answers and hangs up":     say(answerOf("grpc", nil)),
		"answers and says nothing": hold(answerOf("grpc", nil)),
		"answers net/rpc likewise": hold(answerOf("netrpc", map[string]any{"features": []string{"mux"}})),
		"byte by byte": func(c net.Conn) {
			for _, b := range []byte(answerOf("grpc", map[string]any{"kinds": manyKinds()})) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		},
		"an endless name":       endless(`go-plugin/1 {"answer":{"core":1,"name":"`, "xxxxxxxxxxxxxxxx"),
		"endless escapes":       endless("", "\x1b]0;\a\u009b\u202e"),
		"endless log lines":     endless("", "2026-01-01T00:00:00Z [ERROR] forged\n"),
		"600 kinds":             hold(answerOf("grpc", map[string]any{"kinds": manyKinds()})),
		"huge words":            hold(answerOf("grpc", map[string]any{"name": strings.Repeat("n", 60<<10), "instance": strings.Repeat("i", 1<<10)})),
		"a lying number":        hold(answerOf("grpc", map[string]any{"version": 1 << 30, "maxMessage": -1})),
		"HTTP/2":                hold(settings),
		"endless HTTP/2":        endless(answerOf("grpc", nil)+settings, ping+settings),
		"endless messages":      endless(answerOf("netrpc", map[string]any{"features": []string{"mux"}}), "\x00\x00\x00\x01\x63\x00\x00\x00\x01\x09"),
		"a message of 2 GiB":    endless(answerOf("netrpc", map[string]any{"features": []string{"mux"}})+"\x7f\xff\xff\xff\x02", strings.Repeat("x", 4<<10)),
		"endless yamux":         endless(answerOf("netrpc", nil), "\x00\x01\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00"),
		"endless strange yamux": endless(answerOf("netrpc", nil), "\x00\x00\x00\x00\x00\x00\x00\x63\x00\x00\x00\x04junk"),
		"TLS": func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{}).Handshake()
		},
		"a web server": func(c net.Conn) {
			_ = http.Serve(&once{c}, http.NotFoundHandler())
		},
		"many refusals": say(`go-plugin/1 {"refusal":{"code":"busy","message":"` + strings.Repeat("full ", 200) + "\"}}\n"),
	}
}

// once is a listener of one connection.
type once struct{ conn net.Conn }

func (o *once) Accept() (net.Conn, error) {
	if o.conn == nil {
		return nil, io.EOF
	}
	c := o.conn
	o.conn = nil
	return c, nil
}
func (o *once) Close() error   { return nil }
func (o *once) Addr() net.Addr { return &net.TCPAddr{} }

// serveHostile listens, and has behave see to each connection once the host's first
// bytes have come. It ends with the test.
func serveHostile(t *testing.T, behave func(net.Conn)) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ending := make(chan struct{})
	t.Cleanup(func() {
		close(ending)
		_ = lis.Close()
	})
	go acceptHostile(lis, ending, behave)
	return lis.Addr().String()
}

// acceptHostile sees to each connection of a listener until that is closed, and all have
// ended.
func acceptHostile(lis net.Listener, ending <-chan struct{}, behave func(net.Conn)) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := lis.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			defer c.Close()
			go func() {
				<-ending
				_ = c.Close()
			}()
			r := bufio.NewReader(c)
			if _, err := r.ReadString('\n'); err == nil {
				behave(buffered{c, r})
			}
		})
	}
}

// buffered is a connection whose first bytes were read.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// TestHostilePlugins attaches a host to each beside a good one.
func TestHostilePlugins(t *testing.T) {
	t.Parallel()
	for name, behave := range hostilePlugins() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underAttack(t, "a plugin: "+name, serveHostile(t, behave), hostMemory, nil)
		})
	}
}

// underAttack runs a host that is attached to a hostile plugin and to a good one, and
// measures what the one costs and how the other fares. attack, if not nil, is what is
// done meanwhile.
func underAttack(t *testing.T, title, evil string, memory int64, attack func(*daemonProcess)) {
	t.Helper()
	underAttackWithin(t, title, evil, memory, spareHost, attack)
}

// underAttackWithin is underAttack with a bound of the goroutines that the attack adds.
func underAttackWithin(t *testing.T, title, evil string, memory int64, spare int, attack func(*daemonProcess)) {
	t.Helper()
	p := startPlugin(t)
	d := serveHost(t, "NETWORK_PLUGIN=good="+p.addr+",evil="+evil, "LOG_LEVEL=trace", "CALL_TIMEOUT=20s")
	d.awaitReady("good")
	f := measure(t, "%s", title)
	goroutines, fds := d.metric("go_goroutines"), d.descriptors()
	if attack == nil {
		attack = func(*daemonProcess) { time.Sleep(attackTime) }
	}
	lasted := d.beside(f, "good", func() { attack(d) })
	f.bytes("memory", d.peakMemory(), memory)
	f.bytes("log", d.log.size(), int64(lasted/time.Second+2)*hostLog)
	f.count("descriptors more", d.descriptors()-fds, spareHost)
	f.count("goroutines more", d.metric("go_goroutines")-goroutines, spare)
	if code, took := d.end(15); code != 0 || took > patience {
		t.Errorf("the host ended with code %d after %v", code, took)
	}
}
