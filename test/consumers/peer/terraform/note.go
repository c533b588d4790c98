// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// note is a resource whose state is what the host wrote, behind the prefix that
// its provider was configured with.
type note struct{ prefix string }

type noteModel struct {
	Text types.String `tfsdk:"text"`
	Said types.String `tfsdk:"said"`
}

func (*note) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_note"
}

func (*note) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"text": schema.StringAttribute{Required: true},
		"said": schema.StringAttribute{Computed: true},
	}}
}

func (n *note) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	n.prefix, _ = req.ProviderData.(string)
}

// ModifyPlan implements [resource.ResourceWithModifyPlan].
func (*note) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var model noteModel
	if req.Plan.Raw.IsNull() {
		return // it is to be deleted
	}
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	work(ctx, "plan", model.Text.ValueString())
}

func (n *note) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model noteModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	if model.Text.ValueString() == "bad" {
		resp.Diagnostics.AddError("refused", "no note may say bad")
		return
	}
	work(ctx, "create", model.Text.ValueString())
	model.Said = types.StringValue(n.prefix + ": " + model.Text.ValueString())
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}

func (*note) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

func (*note) Update(context.Context, resource.UpdateRequest, *resource.UpdateResponse) {}

func (*note) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
