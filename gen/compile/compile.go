// SPDX-License-Identifier: MPL-2.0

// Package compile compiles .proto files.
package compile

import (
	"context"
	"fmt"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
)

// File compiles a file, by the path that others know it by and its source. It may import
// those of protocol buffers' own.
func File(ctx context.Context, path, source string) (linker.File, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(map[string]string{path: source}),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return files[0], nil
}
