// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// requestLine is a host's, of which some members are others than usual.
func requestLine(change map[string]any) string {
	r := map[string]any{"core": 1, "cookie": map[string]string{"key": "BASIC_PLUGIN", "value": "hello"}, "versions": []int{1, 2}, "protocols": []string{"grpc", "netrpc"}}
	for key, value := range change {
		r[key] = value
	}
	raw, _ := json.Marshal(r)
	return "go-plugin/1 " + string(raw) + "\n"
}

// TestEnormousHellos sends hellos whose members are beyond every bound. Each is
// answered in one line, or refused in one.
func TestEnormousHellos(t *testing.T) {
	t.Parallel()
	v := startPlugin(t)
	ints := make([]int, 1000)
	many := strings.Split(strings.Repeat("x,", 1000), ",")
	hellos := map[string]any{
		"host": strings.Repeat("h", 15<<10), "versions": ints, "protocols": many, "features": many,
		"maxMessage": math.MaxInt64, "core": math.MaxInt32, "cookie": map[string]string{"key": strings.Repeat("k", 15<<10)},
	}
	f := measure(t, "hellos with enormous members")
	host := v.newcomers(v.clientConfig)
	answered := 0
	for name, value := range hellos {
		for _, sent := range []string{requestLine(map[string]any{name: value}), strings.TrimSuffix(requestLine(map[string]any{name: value}), "\n") + strings.Repeat(" ", 1<<20)} {
			conn := dial(t, v.addr)
			go func() { _, _ = io.WriteString(conn, sent) }()
			line, err := bufio.NewReaderSize(conn, 64<<10).ReadSlice('\n')
			if err != nil || !strings.HasPrefix(string(line), "go-plugin/1 {") {
				t.Errorf("%s: %.100q, %v", name, line, err)
			}
			answered++
			_ = conn.Close()
		}
	}
	for _, number := range []string{"-1", "0", "1", "1e400", "99999999999999999999", `"x"`, "null", "[]"} {
		conn := dial(t, v.addr)
		_, _ = io.WriteString(conn, strings.Replace(requestLine(map[string]any{"maxMessage": 7}), ":7", ":"+number, 1))
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Errorf("maxMessage %s: %q, %v", number, line, err)
		}
		_ = conn.Close()
	}
	f.served("newcomers", host)
	f.bytes("memory", v.peakMemory(), strangersMemory)
	f.bytes("log", v.log.size(), logBound(patience/10))
}

// TestLargeMessages exceeds the bound of a message by requests and by answers, in both
// protocols. It is one clear error, and the session lives.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	const bound = 1 << 20
	v := startPlugin(t, fmt.Sprintf("PLUGIN_MAX_MESSAGE=%d", bound))
	for _, version := range []int{commons.VersionNetRPC, commons.VersionGRPC} {
		f := measure(t, "25 messages of 2 MiB and more where 1 MiB is allowed, version %d", version)
		s, g := v.attach(version)
		for range 5 {
			for _, order := range []string{fmt.Sprintf("reply %d", 2*bound), fmt.Sprintf("error %d", 2*bound), fmt.Sprintf("error %d", 20*bound), strings.Repeat("x", 2*bound), strings.Repeat("x", 20*bound)} {
				if _, err := g.Greet(order); err == nil || len(err.Error()) > 64<<10 {
					t.Errorf("version %d, %.20s: %.200s", version, order, fmt.Sprint(err))
				}
			}
		}
		if _, err := g.Greet("Ada"); err != nil || s.Err() != nil {
			t.Errorf("version %d: the session ended: %v, %v", version, err, s.Err())
		}
		f.bytes("memory", v.peakMemory(), strangersMemory)
		f.bytes("log", v.log.size(), logBound(patience/10))
	}
}

// TestPanicsAndQuits: neither input that makes a method panic, nor a host that asks the
// plugin to end, costs anybody else anything.
func TestPanicsAndQuits(t *testing.T) {
	t.Parallel()
	v := startPlugin(t)
	f := measure(t, "1000 panics, and 20 hosts that ask the plugin to end")
	host := v.newcomers(v.clientConfig)
	began := time.Now()
	for _, version := range []int{commons.VersionNetRPC, commons.VersionGRPC} {
		_, g := v.attach(version)
		for range 500 {
			if _, err := g.Greet("panic 10000"); err == nil || len(err.Error()) > 2<<10 {
				t.Errorf("a panic was answered with %.300s", fmt.Sprint(err))
			}
		}
		for range 10 {
			client := plugin.NewClient(v.clientConfig(version))
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			_ = protocol.Close() // Control.Quit, or GRPCController.Shutdown
			client.Kill()
		}
		if _, err := g.Greet("Ada"); err != nil {
			t.Error(err)
		}
	}
	f.served("newcomers", host)
	v.lives()
	f.bytes("memory", v.peakMemory(), strangersMemory)
	// panicsPerSecond stacks of 16 KiB are logged, which JSON makes some longer.
	lasted := time.Since(began)
	f.bytes("log", v.log.size(), logBound(lasted)+int64(lasted/time.Second+2)*6*32<<10)
}

// TestBusy attaches as many hosts as the plugin takes. Further ones are told so, and
// there is room again when one leaves.
func TestBusy(t *testing.T) {
	t.Parallel()
	const most = 50
	v := startPlugin(t, fmt.Sprintf("PLUGIN_MAX_SESSIONS=%d", most))
	f := measure(t, "500 hosts that want to attach where %d may", most)
	var sessions []*plugin.Session
	for range most {
		s, _ := v.attach(commons.VersionGRPC)
		sessions = append(sessions, s)
	}
	refused := 0
	for range 500 - most {
		_, err := plugin.Attach(t.Context(), v.clientConfig(commons.VersionGRPC))
		var refusal *plugin.RefusedError
		if errors.As(err, &refusal) && refusal.Code == plugin.RefusedBusy {
			refused++
		}
	}
	f.count("taken beyond it", 500-most-refused, 0)
	_ = sessions[0].Close()
	eventually(t, func() error {
		s, err := plugin.Attach(t.Context(), v.clientConfig(commons.VersionNetRPC))
		if err == nil {
			err = s.Close()
		}
		return err
	})
	f.count("descriptors", v.descriptors(), most+sparePlugin)
	f.bytes("memory", v.peakMemory(), strangersMemory)
}
