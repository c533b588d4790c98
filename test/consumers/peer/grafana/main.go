// SPDX-License-Identifier: MPL-2.0

// Program grafana is a data source that is written with grafana-plugin-sdk-go,
// and served as every plugin of Grafana is. The SDK registers the metrics of its
// gRPC server each time that it makes one, and panics at the second time.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/datasource"
	"github.com/grafana/grafana-plugin-sdk-go/backend/instancemgmt"
)

func main() {
	if err := datasource.Manage("reattach-sample-datasource", newInstance, datasource.ManageOpts{}); err != nil {
		fmt.Fprintln(os.Stderr, "serve the data source:", err)
		os.Exit(1)
	}
}

// newInstance is called by the SDK once for each data source that a host has
// configured, and again when its settings have changed.
func newInstance(_ context.Context, settings backend.DataSourceInstanceSettings) (instancemgmt.Instance, error) {
	var config struct {
		Prefix string `json:"prefix"`
	}
	if err := json.Unmarshal(settings.JSONData, &config); err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", settings.Name, err)
	}
	return &instance{prefix: config.Prefix, secret: settings.DecryptedSecureJSONData["secret"]}, nil
}

// instance is a data source with the settings of one host. Whatever it answers
// begins with the host's prefix: that tells whether hosts are mixed up.
type instance struct{ prefix, secret string }

func (i *instance) said(format string, args ...any) string {
	return i.prefix + ": " + fmt.Sprintf(format, args...)
}
