// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestLogsAndProfiles: each line of the log is an object with stable keys, those about a
// plugin name it and its endpoint, and profiles are served to this machine alone.
func TestLogsAndProfiles(t *testing.T) {
	p := startNetworkPlugin(t, "greeter-zh.po")
	cmd := exec.Command(filepath.Join(bin, "basic"), "serve")
	cmd.Env = environment("BASIC_LISTEN=127.0.0.1:0", "PLUGIN_DIR=", "LOG_FORMAT=json", "LOG_LEVEL=debug", "BASIC_PPROF=127.0.0.1:0", "NETWORK_PLUGIN=zh="+p.address())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var profiles string
	attached := false
	for scan := bufio.NewScanner(stderr); !attached && scan.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatalf("a line of the log is %q: %v", scan.Text(), err)
		}
		for _, key := range []string{"@timestamp", "@level", "@message"} {
			if line[key] == nil {
				t.Errorf("%s has no %s", scan.Text(), key)
			}
		}
		if line["@message"] == "serving profiles" {
			profiles = "http://" + line["address"].(string) + "/debug/pprof/"
		}
		attached = line["plugin"] == "zh" && line["endpoint"] != nil
	}
	if !attached {
		t.Error("no line names plugin and endpoint")
	}
	for path, want := range map[string]int{"": http.StatusOK, "heap": http.StatusOK, "trace?seconds=1": http.StatusOK, "profile?seconds=0": http.StatusBadRequest, "nothing": http.StatusNotFound} {
		answer, err := http.Get(profiles + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != want || len(body) == 0 {
			t.Errorf("profile %q: %s with %d bytes, %v, want %d", path, answer.Status, len(body), err, want)
		}
	}
	for host, want := range map[string]int{"": http.StatusOK, "evil.example": http.StatusForbidden} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, profiles, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			request.Host = host
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("profiles for host %q: %s, want %d", host, answer.Status, want)
		}
	}
}
