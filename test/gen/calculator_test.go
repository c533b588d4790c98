// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
	"github.com/reattach/reattach/test/kit"
)

// patience bounds what a program may take.
const patience = 60 * time.Second

// start starts a program that ends with the test, and gives the lines that it prints on
// stdout.
func start(t *testing.T, env []string, path string, args ...string) <-chan string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stderr = append([]string{"TMPDIR=" + t.TempDir()}, env...), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for range lines {
			continue // Wait must follow the last read
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	})
	return lines
}

// said runs a program to its end, and gives its exit code and what it prints.
func said(t *testing.T, env []string, path string, args ...string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{"TMPDIR=" + t.TempDir()}, env...)
	raw, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("%s %v: %v\n%s", path, args, err, raw)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(string(raw))
}

// asks calls the calculator through the command line of its daemon.
func asks(t *testing.T, env []string, daemon string) {
	t.Helper()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"calculator.Add", "2", "3"}, 0, "5"},
		{[]string{"calculator.Divide", `{"a":1,"b":4}`}, 0, "0.25"},
		{[]string{"calculator.Divide", "1", "0"}, 1, "division by zero"},
		{[]string{"calculator.Sum", "[[1,2,13]]"}, 1, "13 is unlucky"},
	} {
		code, out := said(t, env, daemon, append([]string{"call", "calc"}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%v: got %d, %q; want %d, %q", c.args, code, out, c.code, c.want)
		}
	}
}

// TestCalculator runs examples/calculator, of which the interface, what it does and its
// daemon's one line are written by hand, in each placement.
func TestCalculator(t *testing.T) {
	dir := t.TempDir()
	daemon, child := filepath.Join(dir, "calculator"), filepath.Join(dir, "plugins", "calc.po")
	run(t, "../../examples/calculator", "go", "build", "-o", daemon, "./daemon")
	run(t, "../../examples/calculator", "go", "build", "-o", child, "./plugin")

	for _, version := range []string{"1", "2"} {
		t.Run("a child, version "+version, func(t *testing.T) {
			asks(t, []string{"PLUGIN_DIR=" + filepath.Dir(child), "CONTRACT_VERSIONS=" + version}, daemon)
		})
	}
	ca := kit.NewAuthority(t)
	plugin, host := ca.Named("calc"), ca.Named("host")
	file := func(name string, content []byte) string {
		writeFile(t, filepath.Join(dir, name), string(content))
		return filepath.Join(dir, name)
	}
	key := func(private any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	certificate := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	authority := file("ca.pem", ca.PEM())
	pluginEnv := []string{
		"CALCULATOR_PLUGIN=calculator", "PLUGIN_HOST=127.0.0.1",
		"PLUGIN_TLS_CERT_FILE=" + file("plugin.pem", certificate(plugin.Certificate[0])),
		"PLUGIN_TLS_KEY_FILE=" + file("plugin.key", key(plugin.PrivateKey)),
		"PLUGIN_TLS_CLIENT_CA_FILE=" + authority,
	}
	var replicas []string
	for range 3 {
		fields := strings.Split(<-start(t, pluginEnv, child), "|")
		if len(fields) < 4 {
			t.Fatalf("the plugin said %q", fields)
		}
		_, port, err := net.SplitHostPort(fields[3])
		if err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, "calc=127.0.0.1:"+port)
	}
	hostEnv := []string{
		"PLUGIN_DIR=", "NETWORK_PLUGIN=" + strings.Join(replicas, ","), "BALANCER=round-robin",
		"HOST_TLS_CERT_FILE=" + file("host.pem", certificate(host.Certificate[0])),
		"HOST_TLS_KEY_FILE=" + file("host.key", key(host.PrivateKey)),
		"HOST_TLS_CA_FILE=" + authority,
	}
	t.Run("three replicas by mTLS", func(t *testing.T) { asks(t, hostEnv, daemon) })

	address := address.Hold(t)
	start(t, append(hostEnv, "CALCULATOR_LISTEN="+address), daemon, "serve")
	client := []string{"CALCULATOR_SERVER=http://" + address}
	await(t, "http://"+address+"/readyz", func(string) bool { return true })
	t.Run("a daemon over three replicas", func(t *testing.T) {
		for range 3 {
			asks(t, client, daemon)
		}
	})
	t.Run("metrics", func(t *testing.T) {
		calls := regexp.MustCompile(`(?m)^reattach_calls_total\{[^}]*method="Add"[^}]*\} (\d+)`)
		await(t, "http://"+address+"/metrics", func(text string) bool {
			return calls.MatchString(text) && strings.Count(text, `method="Sum"`) > 0
		})
	})
}

// await asks for a page until it says what is wanted.
func await(t *testing.T, url string, good func(string) bool) {
	t.Helper()
	kit.Eventually(t, patience, func() error {
		answer, err := http.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		raw, err := io.ReadAll(answer.Body)
		if err == nil && (answer.StatusCode != http.StatusOK || !good(string(raw))) {
			err = fmt.Errorf("%s: %s\n%s", url, answer.Status, raw)
		}
		return err
	})
}
