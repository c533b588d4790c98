// SPDX-License-Identifier: MPL-2.0

//go:build !cgo

package so

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// TestOff runs with CGO_ENABLED=0.
func TestOff(t *testing.T) {
	d, err := Dialer(Options{Contract: attach.Contract{
		Handshake: commons.Handshake(), Versions: commons.Versions(plugin.PluginSet{}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := target.Endpoint{Plugin: "zh", Placement: target.InProcess, Address: "/plugins/zh.so"}
	_, err = d.Dial(t.Context(), e)
	if err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") || !strings.Contains(err.Error(), e.Address) || !errors.Is(err, conn.ErrPermanent) {
		t.Errorf("%v, want a permanent error that names the file and the reason", err)
	}
}
