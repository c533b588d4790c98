// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestNegotiate(t *testing.T) {
	cookie := Cookie{Key: "BASIC_PLUGIN", Value: "hello"}
	request := func(versions []int, protocols ...string) *Request {
		return &Request{Cookie: cookie, Versions: versions, Protocols: protocols, Features: []string{"goaway", "mux"}}
	}
	type want struct {
		agreed Agreement
		err    *Refusal
	}
	cases := map[string]struct {
		reason string
		req    *Request
		cookie Cookie
		offers []Offer
		want   want
	}{
		"HighestCommon": {
			reason: "The highest version that both have wins, however the lists are ordered.",
			req:    request([]int{3, 1, 2}, "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc"}, {Version: 2, Protocol: "netrpc"}, {Version: 4, Protocol: "netrpc"}},
			want:   want{agreed: Agreement{Version: 2, Protocol: "netrpc"}},
		},
		"LowerVersionForProtocol": {
			reason: "A version whose protocol the host does not take is passed over for a lower one that it can speak.",
			req:    request([]int{1, 2}, "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc"}, {Version: 2, Protocol: "grpc"}},
			want:   want{agreed: Agreement{Version: 1, Protocol: "netrpc"}},
		},
		"PreferredProtocol": {
			reason: "Of two protocols of one version the host's first is taken.",
			req:    request([]int{1}, "grpc", "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc"}, {Version: 1, Protocol: "grpc"}},
			want:   want{agreed: Agreement{Version: 1, Protocol: "grpc"}},
		},
		"VersionBeforePreference": {
			reason: "The host's preference between protocols never costs it a version.",
			req:    request([]int{1, 2}, "grpc", "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "grpc"}, {Version: 2, Protocol: "netrpc"}},
			want:   want{agreed: Agreement{Version: 2, Protocol: "netrpc"}},
		},
		"Features": {
			reason: "Only features that both have are granted, once each.",
			req: &Request{Cookie: cookie, Versions: []int{1}, Protocols: []string{"netrpc"},
				Features: []string{"future", "goaway", "goaway"}},
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc", Features: []string{"goaway", "other"}}},
			want:   want{agreed: Agreement{Version: 1, Protocol: "netrpc", Features: []string{"goaway"}}},
		},
		"NoCookieConfigured": {
			reason: "A plugin without a cookie takes every host.",
			req:    request([]int{1}, "netrpc"),
			offers: []Offer{{Version: 1, Protocol: "netrpc"}},
			want:   want{agreed: Agreement{Version: 1, Protocol: "netrpc"}},
		},
		"OneVersion": {
			reason: "The wording of upstream's host, word for word.",
			req:    request([]int{2}, "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc"}},
			want: want{err: &Refusal{Code: CodeVersion, Versions: []int{1},
				Message: "incompatible API version with plugin. Plugin version: 1, Client versions: [2]"}},
		},
		"SeveralVersions": {
			reason: "A plugin with several versions lists each once, sorted.",
			req:    request([]int{7, 8}, "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 2, Protocol: "grpc"}, {Version: 1, Protocol: "netrpc"}, {Version: 2, Protocol: "netrpc"}},
			want: want{err: &Refusal{Code: CodeVersion, Versions: []int{1, 2},
				Message: "incompatible API version with plugin. Plugin versions: [1 2], Client versions: [7 8]"}},
		},
		"HostWithoutVersions": {
			reason: "A host that lists no version is refused, not served a guess.",
			req:    request(nil, "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc"}},
			want: want{err: &Refusal{Code: CodeVersion, Versions: []int{1},
				Message: "incompatible API version with plugin. Plugin version: 1, Client versions: []"}},
		},
		"Protocol": {
			reason: "A common version in the wrong protocol is told apart from no common version.",
			req:    request([]int{1, 2}, "netrpc"),
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "grpc"}, {Version: 2, Protocol: "grpc"}},
			want: want{err: &Refusal{Code: CodeProtocol, Protocols: []string{"grpc"},
				Message: `unsupported plugin protocol "grpc". Supported: [netrpc]`}},
		},
		"CookieBeforeVersion": {
			reason: "Programs that were not made for each other are told that, not a version.",
			req:    &Request{Cookie: Cookie{Key: "OTHER", Value: "hello"}, Versions: []int{9}, Protocols: []string{"netrpc"}},
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc"}},
			want: want{err: &Refusal{Code: CodeCookie,
				Message: `the host's magic cookie is named "OTHER", this plugin's "BASIC_PLUGIN": they were not made for each other`}},
		},
		"CookieMissing": {
			reason: "A host without a cookie hears which one is expected.",
			req:    &Request{Versions: []int{1}, Protocols: []string{"netrpc"}},
			cookie: cookie,
			offers: []Offer{{Version: 1, Protocol: "netrpc"}},
			want: want{err: &Refusal{Code: CodeCookie,
				Message: `the host sent no magic cookie; this plugin expects the one named "BASIC_PLUGIN"`}},
		},
		"CookieValue": {
			reason: "The right name with another value names the cookie.",
			req:    &Request{Cookie: Cookie{Key: "BASIC_PLUGIN", Value: "s3cret-of-host"}, Versions: []int{1}, Protocols: []string{"netrpc"}},
			cookie: Cookie{Key: "BASIC_PLUGIN", Value: "s3cret-of-plugin"},
			offers: []Offer{{Version: 1, Protocol: "netrpc"}},
			want: want{err: &Refusal{Code: CodeCookie,
				Message: `the host's value of the magic cookie "BASIC_PLUGIN" is not this plugin's: they were not made for each other`}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			agreed, err := Negotiate(tc.req, tc.cookie, tc.offers)
			refusal, _ := err.(*Refusal)
			got := want{agreed: agreed, err: refusal}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(want{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s\nNegotiate: -want, +got:\n%s", tc.reason, diff)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s\nthe message shows a cookie's value: %v", tc.reason, err)
			}
		})
	}
}
