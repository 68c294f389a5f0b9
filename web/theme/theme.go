// Package theme is the look that all pages of this project share: one set of
// colours, spaces and controls, in a light and a dark scheme. Pages put it
// before their own style, so that a page stays one document without requests.
package theme

import _ "embed" // for the style

// CSS is the shared style.
//
//go:embed theme.css
var CSS string
