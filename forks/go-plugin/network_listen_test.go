// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
)

// startOnNetwork starts this test binary as a plugin in network mode, and gives
// the address that its line names, or what it wrote to stderr when it ended
// without one.
func startOnNetwork(t *testing.T, prepare func(*exec.Cmd), env ...string) (address, stderr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append([]string{envRole + "=echo", "TEST_PLUGIN=hello"}, env...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		return "", said.String()
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := child.ParseLine(first)
	if err != nil {
		t.Fatalf("first line %q: %v", first, err)
	}
	return line.Address, ""
}

// reachable reports whether somebody listens on the port of the address, at host.
func reachable(t *testing.T, host, address string) bool {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func haveIPv6() bool {
	lis, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = lis.Close()
	return true
}

// foreignAddress is an address of this machine that is not loopback, or "".
func foreignAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return ""
}

// TestListensWherePluginHostSays starts a plugin for each value of PLUGIN_HOST
// and dials it.
func TestListensWherePluginHostSays(t *testing.T) {
	if !haveIPv6() {
		t.Skip("this machine has no IPv6; TestListensWithoutIPv6 holds what happens then")
	}
	foreign := foreignAddress(t)
	const all, v4, v6 = "0.0.0.0:", "127.0.0.1:", "[::1]:"
	cases := map[string]struct {
		line                 string
		loop4, loop6, others bool
	}{
		"true":             {all, true, true, true},
		"1":                {all, true, true, true},
		"yes":              {all, true, true, true},
		"on":               {all, true, true, true},
		"my-pod":           {all, true, true, true},
		"plugin.example":   {all, true, true, true},
		"0.0.0.0":          {all, true, false, true},
		"::":               {"[::]:", true, true, true},
		"127.0.0.1":        {v4, true, false, false},
		" 127.0.0.1\n":     {v4, true, false, false},
		"::ffff:127.0.0.1": {v4, true, false, false},
		"::1":              {v6, false, true, false},
		"[::1]":            {v6, false, true, false},
		"::1%lo":           {v6, false, true, false},
		"[::1%lo]":         {v6, false, true, false},
		"localhost":        {v4, true, false, false},
		"LocalHost.":       {v4, true, false, false},
	}
	for value, want := range cases {
		t.Run(value, func(t *testing.T) {
			address, stderr := startOnNetwork(t, nil, env.Host+"="+value)
			if address == "" {
				t.Fatalf("it does not listen: %s", stderr)
			}
			if !strings.HasPrefix(strings.Replace(address, "%lo", "", 1), want.line) {
				t.Errorf("it announces %s, want %sPORT", address, want.line)
			}
			for host, open := range map[string]bool{"127.0.0.1": want.loop4, "::1": want.loop6, foreign: want.others} {
				if host != "" && reachable(t, host, address) != open {
					t.Errorf("reachable at %s: %v, want %v", host, !open, open)
				}
			}
		})
	}
}

// TestRefusesToListen holds what does not turn network mode on by mistake, and
// that the error says which variable it is and what to write.
func TestRefusesToListen(t *testing.T) {
	cases := map[string]struct{ env, says []string }{}
	for _, no := range []string{"false", "FALSE", "False", "f", "0", "off", "OFF", "no", "n", "none", "disabled", " off "} {
		cases["no:"+no] = struct{ env, says []string }{[]string{env.Host + "=" + no}, []string{env.Host, strings.TrimSpace(no), "unset it"}}
	}
	for _, mistake := range []string{"127.0.0.256", "127.1", "127.0.0.1:7000", "10.0.0.0/8", "[::1]:7000", "::1::", "localhost:7000", "fe80::1%"} {
		cases["mistake:"+mistake] = struct{ env, says []string }{[]string{env.Host + "=" + mistake}, []string{env.Host, mistake, "no IP address"}}
	}
	on := func(more ...string) []string { return append([]string{env.Host + "=127.0.0.1"}, more...) }
	cases["maximum only"] = struct{ env, says []string }{on(env.MaxPort + "=7000"), []string{"PLUGIN_MAX_PORT is 7000 without a PLUGIN_MIN_PORT", "set both"}}
	cases["minimum only"] = struct{ env, says []string }{on(env.MinPort + "=7000"), []string{"PLUGIN_MIN_PORT is 7000 without a PLUGIN_MAX_PORT", "set both"}}
	cases["maximum, minimum of zero"] = struct{ env, says []string }{on(env.MinPort+"=0", env.MaxPort+"=7000"), []string{"PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT", "set both"}}
	cases["no port"] = struct{ env, says []string }{on(env.MinPort + "=http"), []string{"PLUGIN_MIN_PORT", "http"}}
	cases["drain without unit"] = struct{ env, says []string }{on(env.DrainTimeout + "=5"), []string{"PLUGIN_DRAIN_TIMEOUT is 5: give a unit, such as 5s"}}
	cases["handshake without unit"] = struct{ env, says []string }{on(env.HandshakeTimeout + "=10"), []string{"PLUGIN_HANDSHAKE_TIMEOUT is 10: give a unit, such as 10s"}}
	cases["no duration"] = struct{ env, says []string }{on(env.DrainTimeout + "=soon"), []string{"PLUGIN_DRAIN_TIMEOUT", `soon`, "positive duration such as 25s"}}
	cases["sessions"] = struct{ env, says []string }{on(env.MaxSessions + "=many"), []string{"PLUGIN_MAX_SESSIONS", "many"}}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			address, stderr := startOnNetwork(t, nil, tc.env...)
			if address != "" {
				t.Fatalf("it listens on %s", address)
			}
			for _, says := range tc.says {
				if !strings.Contains(stderr, says) {
					t.Errorf("it says %s, want %q in it", stderr, says)
				}
			}
		})
	}
}

// TestEnvironmentMayHaveBlanks holds that what a file of variables leaves around
// values does no harm.
func TestEnvironmentMayHaveBlanks(t *testing.T) {
	if address, stderr := startOnNetwork(t, nil, env.Host+"=127.0.0.1 ", env.DrainTimeout+"= 5s", env.MaxSessions+"=5 ",
		env.MinPort+"= 0", env.MaxPort+"=0 ", env.ProtocolVersions+"=1, 2"); address == "" || stderr != "" {
		t.Errorf("listens on %q, says %s", address, stderr)
	}
}
