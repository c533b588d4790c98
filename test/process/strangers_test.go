// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStrangersCookie exposes a script in bash that starts a plugin, and has hosts come first
// whose cookies would run code in it. None does, and the right host is served after them.
func TestStrangersCookie(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	dir := t.TempDir()
	script, ran := filepath.Join(dir, "store"), filepath.Join(dir, "ran")
	text := "#!" + bash + "\necho $PPID >>" + dir + "/started\nexec " + filepath.Join(bin, "greeter-zh.po") + "\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	address := exposes(t, "--listen", "127.0.0.1:0", "--", script)
	for key, value := range map[string]string{
		"BASH_ENV": "$(touch " + ran + ")", "LD_PRELOAD": filepath.Join(dir, "x.so"), "PATH": dir, "PLUGIN_UNIX_SOCKET_DIR": dir,
	} {
		if said := refusal(t, address, key, value); said.Code != "cookie" || !strings.Contains(said.Message, key) || !strings.Contains(said.Message, "--cookie") {
			t.Errorf("%s: it says %+v", key, said)
		}
	}
	for _, path := range []string{ran, filepath.Join(dir, "started")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is there: a stranger had something run", path)
		}
	}
	if got := basic(t, "PLUGIN_DIR=", "NETWORK_PLUGIN="+address); got.Code != 0 || !strings.Contains(got.Stdout, "您好") {
		t.Errorf("the right host: %+v", got)
	}
}

// TestStrangersPort exposes a plugin on every address: with a cookie alone, and with a warning.
func TestStrangersPort(t *testing.T) {
	plugin := filepath.Join(bin, "greeter-zh.po")
	got := command(t, []string{"expose", "--listen", "0.0.0.0:0", "--", plugin})
	line := got.withoutWaits()
	if got.Code != 2 || strings.Count(line, "\n") != 1 {
		t.Errorf("without a cookie: %+v", got)
	}
	for _, want := range []string{"--listen 0.0.0.0:0", "--cookie KEY=VALUE", "--listen 127.0.0.1:7000", "unix socket", "PLUGIN_TLS_CLIENT_CA_FILE"} {
		if !strings.Contains(line, want) {
			t.Errorf("it says %q, want %q", line, want)
		}
	}
	exposes(t, "--listen", "0.0.0.0:0", "--cookie", "BASIC_PLUGIN=hello", "--", plugin)
}

// exposes runs expose until the end of the test, and gives the port on loopback at which it serves. It
// holds that the log warns where hosts of which nothing is known may come, and nowhere else.
func exposes(t *testing.T, args ...string) (address string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "basic"), append([]string{"expose"}, args...)...)
	cmd.Env = environment("LOG_LEVEL=info")
	said := &watched{seen: make(chan string, 1), what: regexp.MustCompile(`plugin serves on the network.* address=\S+:(\d+)`)}
	cmd.Stdout, cmd.Stderr = io.Discard, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var port string
	select {
	case port = <-said.seen:
	case err := <-ended:
		t.Fatalf("it ended: %v\n%s", err, &said.all)
	case <-time.After(patience):
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		open := strings.Contains(strings.Join(args, " "), "0.0.0.0")
		if warns := strings.Count(said.all.String(), "anybody who reaches the address can call the plugin"); warns > 1 || (warns == 1) != open {
			t.Errorf("it warns %d times of strangers:\n%s", warns, &said.all)
		}
	})
	if port == "" {
		t.Fatalf("it does not say that it serves:\n%s", &said.all)
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// refused is why a host is refused.
type refused struct{ Code, Message string }

// refusal shakes hands with a cookie, and gives the refusal.
func refusal(t *testing.T, address, key, value string) refused {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello, err := json.Marshal(map[string]any{
		"core": 1, "cookie": map[string]string{"key": key, "value": value}, "versions": []int{1, 2}, "protocols": []string{"grpc"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append([]byte("go-plugin/1 "), append(hello, '\n')...)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Refusal refused }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "go-plugin/1 ")), &said); err != nil {
		t.Fatalf("it says %q: %v", line, err)
	}
	return said.Refusal
}
