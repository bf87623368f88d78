using UPool.Management;

namespace UPool.Api.Tests.Management;

/// <summary>Only characters that JSON requires to be escaped are escaped.</summary>
public sealed class EnvelopeEncoderTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("plain", "plain")]
    [InlineData("日本 é <b>&'/", "日本 é <b>&'/")]
    [InlineData("😀", "😀")]
    [InlineData("😀\"👍", "😀\\\"👍")]
    [InlineData("\"😀", "\\\"😀")]
    [InlineData("a\\b", "a\\\\b")]
    [InlineData("\b\f\n\r\t", "\\b\\f\\n\\r\\t")]
    [InlineData("\0\u001F\u007F\u009F", "\\u0000\\u001F\\u007F\\u009F")]
    [InlineData("\u00A0\u2028\uE000", "\u00A0\u2028\uE000")]
    public void Encode_Text_IsEscapedAsJsonRequires(string text, string expected) =>
        Assert.Equal(expected, EnvelopeEncoder.Instance.Encode(text));

    // As chars, because an attribute's string cannot contain a lone surrogate.
    [Theory]
    [InlineData(new[] { 'a', '\uD800' })]
    [InlineData(new[] { 'a', '\uDC00' })]
    [InlineData(new[] { 'a', '\uD800', 'b' })]
    [InlineData(new[] { 'a', '\uDC00', '\uD800' })]
    public void Encode_LoneSurrogate_BecomesAReplacement(char[] text)
    {
        string encoded = EnvelopeEncoder.Instance.Encode(new string(text));

        Assert.StartsWith("a\uFFFD", encoded, StringComparison.Ordinal);
        Assert.DoesNotContain(encoded, char.IsSurrogate);
    }

    [Fact]
    public void Encode_EveryScalar_IsReadBackAsItWas()
    {
        for (int scalar = 0; scalar <= 0x10FFFF; scalar++)
        {
            if (scalar is >= 0xD800 and <= 0xDFFF) continue;

            string text = char.ConvertFromUtf32(scalar);
            string encoded = EnvelopeEncoder.Instance.Encode(text);
            bool isEscaped = encoded != text;
            Assert.Equal(scalar is < 0x20 or '"' or '\\' or (>= 0x7F and < 0xA0), isEscaped);
            if (isEscaped) Assert.Equal(text, System.Text.RegularExpressions.Regex.Unescape(encoded));
        }
    }
}
