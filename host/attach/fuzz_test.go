// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/printable"
)

func outputSeeds(f *testing.F) {
	crash := "panic: boom\n\t1\n\t2\n\t3\n\t4\n\t5\n\t6\n\ngoroutine 1 [running]:\nmain.main()\n"
	for _, text := range []string{
		"one\ntwo\r\nthree", "\n\n", crash, "before\n" + crash + "after\n", "fatal error: x\x1b\n", `{"@level":"error","@message":"m\u202e","error":"e"}` + "\n",
		strings.Repeat("x", maxLine) + "\nnext", strings.Repeat("y", 2*maxLine+1), strings.Repeat("好", lastLineText) + "\n\xff",
	} {
		f.Add([]byte(text), uint16(3))
	}
}

// inPieces writes data in pieces of a size.
func inPieces(t *testing.T, w interface{ Write([]byte) (int, error) }, data []byte, size uint16) {
	t.Helper()
	for step := max(1, int(size)); len(data) > 0; {
		n := min(step, len(data))
		if got, err := w.Write(data[:n]); got != n || err != nil {
			t.Fatalf("%d of %d bytes were taken, %v", got, n, err)
		}
		data = data[n:]
	}
}

// FuzzPluginOutput is what a plugin writes to its stdout: each line is a record, a
// very long one several, and the pieces in which it comes do not matter.
func FuzzPluginOutput(f *testing.F) {
	outputSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		if len(data) > 8*maxLine {
			return
		}
		logged := func(size uint16) (records []string) {
			var out bytes.Buffer
			to := newLineLogger(hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true}), "stdout")
			inPieces(t, to, data, size)
			to.flush()
			for d := json.NewDecoder(&out); d.More(); {
				var record struct {
					Message string `json:"@message"`
				}
				if err := d.Decode(&record); err != nil {
					t.Fatal(err)
				}
				records = append(records, record.Message)
			}
			return records
		}
		records := logged(size)
		for _, r := range records {
			if len(r) > 6*maxLine || printable.Text(r) != r || strings.Contains(r, "\n") {
				t.Fatalf("a record of %d bytes: %.200q", len(r), r)
			}
		}
		if diff := cmp.Diff(logged(65535), records); diff != "" {
			t.Fatalf("-at once +in pieces of %d\n%.1000s", size, diff)
		}
		if want := bytes.Count(data, []byte("\n")); len(records) < want {
			t.Fatalf("%d records of %d lines", len(records), want)
		}
	})
}

// FuzzLastWords is what a child wrote to its stderr before it ended.
func FuzzLastWords(f *testing.F) {
	outputSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		var whole, pieces Words
		inPieces(t, &whole, data, 65535)
		inPieces(t, &pieces, data, size)
		said := pieces.String()
		if said != whole.String() {
			t.Fatalf("%q at once, %q in pieces of %d", &whole, &pieces, size)
		}
		if printable.Line(said) != said || len(said) > (lastLines+1)*(lastLineText+len("… (cut) | ")) {
			t.Fatalf("%d bytes: %q", len(said), said)
		}
		if pieces.crashed && !strings.HasPrefix(said, "panic: ") && !strings.HasPrefix(said, "fatal error: ") {
			t.Fatalf("of a crash there is left %q", said)
		}
	})
}

// FuzzCertificateNames is a peer's certificate with names of every sort. The first is
// shown, and what is shown is no longer than a text of a peer may be.
func FuzzCertificateNames(f *testing.F) {
	f.Add("zh", "spiffe://x/zh", "zh", []byte{10, 0, 0, 1}, uint8(1))
	f.Add("\x1b[2J", "a b", strings.Repeat("long", 1000), []byte{}, uint8(9))
	f.Add("", "", "\u202e", []byte("0123456789abcdef"), uint8(4))
	f.Fuzz(func(t *testing.T, dns, uri, common string, ip []byte, which uint8) {
		leaf := &x509.Certificate{Subject: pkix.Name{CommonName: common}}
		want := leaf.Subject.String()
		if which&4 != 0 {
			leaf.IPAddresses = []net.IP{ip}
			want = net.IP(ip).String()
		}
		if u, err := url.Parse(uri); err == nil && which&2 != 0 {
			leaf.URIs = []*url.URL{u}
			want = u.String()
		}
		if which&1 != 0 {
			leaf.DNSNames = []string{dns, "other"}
			want = dns
		}
		var of identity
		of.set([]*x509.Certificate{leaf})
		if name := of.name(); name != printable.Clip(want, printable.MaxText) {
			t.Fatalf("%q is shown, want %q", name, want)
		}
	})
}
