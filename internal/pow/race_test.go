//go:build race

package pow

// slack is what the race detector costs.
const slack = 20
