//go:build !race

package pow

// slack is 1 where time is measured for real.
const slack = 1
