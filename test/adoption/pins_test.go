// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// certify writes a certificate of this machine that vouches for itself, and its key, and
// returns its fingerprint.
func certify(t *testing.T, dir string) (fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "store"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"store.pem": {Type: "CERTIFICATE", Bytes: der}, "store.key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256(der))
}

// committed builds our plugin in a repository of its own, from its one commit, and once more
// with a change beside it.
func committed(t *testing.T) (clean, changed, revision string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../interop")); err != nil {
		t.Fatal(err)
	}
	fork, err := filepath.Abs("../../forks/go-plugin")
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("go", "mod", "edit", "-replace=github.com/hashicorp/go-plugin="+fork, "fork.mod")
	run("git", "init", "-q")
	run("git", "add", ".")
	run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false", "commit", "-qm", "all of it")
	out := t.TempDir()
	clean, changed = filepath.Join(out, "clean"), filepath.Join(out, "changed")
	build := func(path string) {
		t.Helper()
		run("go", "build", "-buildvcs=true", "-modfile=fork.mod", "-tags=fork", "-o", path, "./peer/plugin")
	}
	build(clean)
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	build(changed)
	return clean, changed, run("git", "rev-parse", "HEAD")
}

// TestPins has target files say which plugin it must be that answers with TLS: the right
// one serves a host of the original library, and each other one is refused in one line.
func TestPins(t *testing.T) {
	clean, changed, revision := committed(t)
	dir := t.TempDir()
	fingerprint := certify(t, dir)
	config := hostapi.Plugin{Versions: map[int]string{1: "grpc"}}
	serve := func(path string, env ...string) string {
		return startPod(t, exec.Command(path), append([]string{cookie, config.Env(), "PLUGIN_HOST=127.0.0.1", "PLUGIN_NAME=store"}, env...)...).address
	}
	identity := []string{"PLUGIN_TLS_CERT_FILE=" + dir + "/store.pem", "PLUGIN_TLS_KEY_FILE=" + dir + "/store.key"}
	secure, plain, modified := serve(clean, identity...), serve(clean), serve(changed, identity...)

	tls := "tls: {ca: " + dir + "/store.pem}"
	pin := func(field, value string) string { return fmt.Sprintf("pin: {%s: %q}", field, value) }
	const module = "github.com/reattach/reattach/test/interop"
	other := strings.Repeat("ab", sha256.Size)

	for name, all := range map[string]string{
		"certificate": pin("certificate", fingerprint),
		"name":        pin("name", "store"),
		"module":      pin("module", module),
		"revision":    pin("revision", revision[:12]),
		"all": fmt.Sprintf("pin: {certificate: %q, name: store, module: %s, revision: %q}",
			"SHA256:"+strings.ToUpper(fingerprint), module, revision),
	} {
		t.Run("right/"+name, func(t *testing.T) {
			h := startHost(t, upstream)
			h.Open(hostapi.Client{Name: "a", Path: link(t, "target: "+secure, tls, all), Versions: map[int]string{1: "grpc"}})
			h.Must("Put", hostapi.Entry{Name: "a", Key: "colour", Value: []byte("blue")}, none)
		})
	}
	cases := map[string]struct{ target, tls, pin, says string }{
		"certificate": {secure, tls, pin("certificate", other), "pin.certificate: the plugin shows the certificate " + fingerprint + ", not " + other},
		"plain TCP":   {plain, "", pin("certificate", fingerprint), "pin.certificate: the connection is plain TCP, which shows no certificate; set tls.ca, or HOST_TLS_CA_FILE"},
		"name":        {secure, tls, pin("name", "shop"), `pin.name: the plugin says "store", not "shop"`},
		"module":      {secure, tls, pin("module", "example.org/store"), `pin.module: the plugin says "` + module + `", not "example.org/store"`},
		"revision":    {secure, tls, pin("revision", "0123456789ab"), `pin.revision: the plugin says "` + revision + `", not "0123456789ab"`},
		"changes":     {modified, tls, pin("revision", revision), `pin.revision: the plugin was built from "` + revision + `" with changes`},
	}
	for name, tc := range cases {
		t.Run("wrong/"+name, func(t *testing.T) {
			cmd := exec.Command(link(t, "target: "+tc.target, tc.tls, tc.pin))
			cmd.Env = append(programs(t).env(), cookie, "ATTACH_TIMEOUT=2s", "PLUGIN_PROTOCOL_VERSIONS=1")
			code, line := fails(t, cmd)
			if code != 3 || !bytes.Contains(line, []byte(tc.says)) {
				t.Errorf("exit code %d, said %q, want %q", code, line, tc.says)
			}
			t.Logf("%d: %s", code, line)
		})
	}
}
