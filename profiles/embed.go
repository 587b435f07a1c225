// Package profiles carries pgfit's data: scenarios and their data sets, the guide's values, audit profiles. It is data
// with a source beside every number; the packages that use it decode it and refuse fields they do not know.
package profiles

import "embed"

// FS holds every profile: scenarios/*.yaml and datasets/*.yaml.
//
//go:embed scenarios/*.yaml datasets/*.yaml
var FS embed.FS
