// SPDX-License-Identifier: MPL-2.0

// Program terraform is a provider that is written with terraform-plugin-framework.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

func main() {
	err := providerserver.Serve(context.Background(), func() provider.Provider { return &sample{} },
		providerserver.ServeOpts{Address: "example.org/test/sample", ProtocolVersion: 6})
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve the provider:", err)
		os.Exit(1)
	}
}

// sample is a provider with one resource. It is configured with a prefix, which
// is the host's own: what a note says tells whether hosts are mixed up.
type sample struct{}

func (*sample) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "sample"
}

func (*sample) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"prefix": schema.StringAttribute{Required: true},
	}}
}

func (*sample) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var config struct {
		Prefix string `tfsdk:"prefix"`
	}
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	resp.ResourceData = config.Prefix
	work(ctx, "configure", config.Prefix)
}

func (*sample) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return &note{} }}
}

func (*sample) DataSources(context.Context) []func() datasource.DataSource { return nil }
