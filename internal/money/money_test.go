package money

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAmountsAreReadExactly(t *testing.T) {
	for _, tt := range []struct {
		in, currency string
		want         int64
	}{
		{"45.00", "EUR", 4500}, {"45", "EUR", 4500}, {"45.5", "EUR", 4550}, {"0.29", "EUR", 29}, {"0", "EUR", 0},
		{"1.005", "KWD", 1005}, {"500", "JPY", 500}, {"1.2345", "CLF", 12345}, {"90000000000000", "JPY", 90000000000000},
	} {
		if got, err := Parse(tt.in, tt.currency); err != nil || got != tt.want {
			t.Errorf("%s %s: got %d, %v, want %d", tt.in, tt.currency, got, err, tt.want)
		}
	}
	for _, tt := range [][2]string{
		{"", "EUR"}, {"-1", "EUR"}, {"+1", "EUR"}, {"1,5", "EUR"}, {"1.", "EUR"}, {".5", "EUR"}, {"1e3", "EUR"}, {"1 000", "EUR"}, {"0x10", "EUR"},
		{"1.005", "EUR"}, {"1.5", "JPY"}, {"99999999999999999999", "EUR"}, {"90071992547409.93", "EUR"},
		{"1", "eur"}, {"1", "EURO"}, {"1", "XXX"}, {"1", ""}, {"1", "UR "}, {"1", "٣"},
	} {
		if got, err := Parse(tt[0], tt[1]); err == nil {
			t.Errorf("%q %q was read as %d", tt[0], tt[1], got)
		}
	}
}

func TestWrittenAmountsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, maxAmount).Draw(t, "minor")
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "CLF"}).Draw(t, "currency")
		amount, _, _ := strings.Cut(Format(minor, currency), " ")
		if got, err := Parse(amount, currency); err != nil || got != minor {
			t.Fatalf("%d %s was written as %s and read as %d, %v", minor, currency, amount, got, err)
		}
	})
}
