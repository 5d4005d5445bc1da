package templates

import (
	"context"

	"github.com/a-h/templ"
)

// nonce marks a script or a style as ours, on pages whose policy cannot name our host (see package web).
func nonce(ctx context.Context) templ.Attributes {
	if n := templ.GetNonce(ctx); n != "" {
		return templ.Attributes{"nonce": n}
	}
	return nil
}
