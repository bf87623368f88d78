using System.Text.RegularExpressions;

namespace UPool;

/// <summary>
/// A fixed SELECT of this project for a <i>no-reset rent</i>: the session needs no reset after it. It is one statement
/// over tables, with parameters but without functions or variables, so it changes nothing that a later no-reset rent
/// could see (INV-5).
/// </summary>
/// <remarks>
/// Internal, because another application's tables cannot be checked: a view may call a function that sets a variable. A
/// fixed SELECT does change FOUND_ROWS(), ROW_COUNT() and the warnings, but no fixed SELECT reads them, and any other
/// rent gets the session only after a reset.
/// </remarks>
internal sealed partial class FixedSelect
{
    /// <summary>Creates a fixed SELECT.</summary>
    /// <param name="text">The statement: names in backticks, values as parameters or whole numbers.</param>
    /// <exception cref="ArgumentException">The text holds something that is not on the list of allowed
    /// words.</exception>
    public FixedSelect(string text)
    {
        if (!Harmless().IsMatch(text))
            throw new ArgumentException($"bug: not a fixed SELECT: {text}", nameof(text));

        Text = text;
        Parameters = Parameter().Matches(text).Select(static found => found.Value).Distinct().Count();
    }

    /// <summary>The statement.</summary>
    public string Text { get; }

    /// <summary>The number of distinct parameters. One without a value would be read as a variable.</summary>
    public int Parameters { get; }

    // An allowlist, because a list of what is forbidden is never complete. Without other bare words, no function call,
    // INTO, FOR UPDATE or NEXT VALUE FOR can be written; without / - # ; : no comment, second statement or assignment.
    [GeneratedRegex(@"\ASELECT\b(?>IN\s*\(|[ \n,.*=<>)]|`[^`]+`|@\w+|\b\d+\b"
        + @"|\b(?:AND|AS|ASC|BY|DESC|FROM|IS|LIMIT|NOT|NULL|OR|ORDER|WHERE)\b)+\z")]
    private static partial Regex Harmless();

    [GeneratedRegex(@"@\w+")]
    private static partial Regex Parameter();
}
