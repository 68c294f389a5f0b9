// Package money reads and writes amounts in the minor units of a currency, exactly.
// No floating point is involved anywhere.
package money

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Currencies of ISO 4217 whose minor unit is not a hundredth. CLDR's digits,
// which golang.org/x/text has, are those of price tags and differ for some.
var exponents = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
	"RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// hundredths are the other currencies of ISO 4217 that things are sold in.
const hundredths = " AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK " +
	"DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL " +
	"MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD " +
	"SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG "

// Exponent is how many decimals a currency's minor unit has.
func Exponent(currency string) (int, error) {
	if n, ok := exponents[currency]; ok {
		return n, nil
	}
	if len(currency) == 3 && strings.Contains(hundredths, " "+currency+" ") {
		return 2, nil
	}
	return 0, fmt.Errorf("%q is no currency of ISO 4217 (three capital letters, as in EUR)", currency)
}

// Parse reads an amount such as 45, 45.5 or 45.00 into minor units.
// No floating point is involved: 0.29 EUR are 29 cents.
func Parse(s, currency string) (int64, error) {
	exponent, err := Exponent(currency)
	if err != nil {
		return 0, err
	}
	whole, decimals, dotted := strings.Cut(s, ".")
	if !digits(whole) || dotted && !digits(decimals) {
		return 0, fmt.Errorf("%q is no amount: write it as 45 or 45.00", s)
	}
	if len(decimals) > exponent {
		return 0, fmt.Errorf("%q has %d decimals, %s has %d", s, len(decimals), currency, exponent)
	}
	minor, err := strconv.ParseInt(whole+decimals+strings.Repeat("0", exponent-len(decimals)), 10, 64)
	if err != nil || minor > maxAmount {
		return 0, fmt.Errorf("%q is more than any ticket costs", s)
	}
	return minor, nil
}

// maxAmount leaves room for the sum of any order in an int64 and in a
// JavaScript number: 100 tickets of it are below 2^53.
const maxAmount = int64(math.MaxInt64>>10) / 100

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Format writes minor units as Parse reads them, for people.
func Format(minor int64, currency string) string {
	exponent, err := Exponent(currency)
	if err != nil || exponent == 0 {
		return fmt.Sprintf("%d %s", minor, currency)
	}
	s := fmt.Sprintf("%0*d", exponent+1, minor)
	return s[:len(s)-exponent] + "." + s[len(s)-exponent:] + " " + currency
}
