using System.Text.RegularExpressions;

namespace UPool;

/// <summary>
/// A SELECT of this project's own after which a session needs no reset, for a <i>no-reset rent</i>: one statement over
/// tables, with parameters but without functions or variables, so that it can change nothing that a later renter of its
/// kind could see (INV-5).
/// </summary>
/// <remarks>
/// Internal, because nobody can know what hides behind a stranger's tables: a view may call a function that sets a
/// variable. What it does leave behind, FOUND_ROWS(), ROW_COUNT() and the warnings, no fixed SELECT asks for; any other
/// rent gets the session only after a reset.
/// </remarks>
internal sealed partial class FixedSelect
{
    /// <summary>Makes one.</summary>
    /// <param name="text">The statement: names in backticks, values as parameters or whole numbers.</param>
    /// <exception cref="ArgumentException">The text holds anything that is not known to be harmless.</exception>
    public FixedSelect(string text)
    {
        if (!Harmless().IsMatch(text))
            throw new ArgumentException($"bug: no fixed SELECT: {text}", nameof(text));

        Text = text;
        Parameters = Parameter().Matches(text).Select(static found => found.Value).Distinct().Count();
    }

    /// <summary>The statement.</summary>
    public string Text { get; }

    /// <summary>How many parameters it has. One that is not given would be read as a variable.</summary>
    public int Parameters { get; }

    // A list of what may be, since what may not be has no end: with no other bare word, no call of a function, no
    // INTO, FOR UPDATE or NEXT VALUE FOR can be written; without / - # ; : no comment, second statement or assignment.
    [GeneratedRegex(@"\ASELECT\b(?>IN\s*\(|[ \n,.*=<>)]|`[^`]+`|@\w+|\b\d+\b"
        + @"|\b(?:AND|AS|ASC|BY|DESC|FROM|IS|LIMIT|NOT|NULL|OR|ORDER|WHERE)\b)+\z")]
    private static partial Regex Harmless();

    [GeneratedRegex(@"@\w+")]
    private static partial Regex Parameter();
}
