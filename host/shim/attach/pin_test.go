// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"
)

func TestPin(t *testing.T) {
	shown := &x509.Certificate{Raw: []byte("certificate")}
	sum := sha256.Sum256(shown.Raw)
	fingerprint := hex.EncodeToString(sum[:])
	other := "00" + fingerprint[2:]
	built := &plugin.PeerInfo{Name: "store", Build: &plugin.PeerBuild{Module: "example.org/store", Revision: "0123456789abcdef"}}
	changed := &plugin.PeerInfo{Build: &plugin.PeerBuild{Revision: "0123456789abcdef", Modified: true}}
	cases := map[string]struct {
		reason      string
		pin         Pin
		peer        *plugin.PeerInfo
		certificate *x509.Certificate
		want        string
	}{
		"None":             {"without a pin any plugin will do", Pin{}, nil, nil, ""},
		"All":              {"all that is pinned is so", Pin{"sha256:" + fingerprint, "store", "example.org/store", "0123456"}, built, shown, ""},
		"Certificate":      {"another key may be anybody's", Pin{Certificate: other}, built, shown, "pin.certificate: the plugin shows the certificate " + fingerprint + ", not " + other},
		"PlainTCP":         {"without TLS nothing is shown", Pin{Certificate: fingerprint}, built, nil, "pin.certificate: the connection is plain TCP, which shows no certificate; set tls.ca, or HOST_TLS_CA_FILE"},
		"Name":             {"another plugin", Pin{Name: "shop"}, built, nil, `pin.name: the plugin says "store", not "shop"`},
		"Module":           {"another module", Pin{Module: "example.org/stor"}, built, nil, `pin.module: the plugin says "example.org/store", not "example.org/stor"`},
		"Revision":         {"another commit", Pin{Revision: "1234567"}, built, nil, `pin.revision: the plugin says "0123456789abcdef", not "1234567"`},
		"Changes":          {"a commit with changes is another one", Pin{Revision: "0123456"}, changed, nil, `pin.revision: the plugin was built from "0123456789abcdef" with changes`},
		"OriginalLibrary":  {"who says nothing is not who is pinned", Pin{Name: "store"}, nil, nil, `pin.name: the plugin does not say its own, and "store" is wanted`},
		"RevisionOfNobody": {"nor was built from it", Pin{Revision: "0123456"}, nil, nil, `pin.revision: the plugin does not say its own, and "0123456" is wanted`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, errorText(tc.pin.admit(tc.peer, tc.certificate))); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}
