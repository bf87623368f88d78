namespace UPool.Core;

/// <summary>The kind of a piece of a statement's text.</summary>
internal enum SqlToken
{
    /// <summary>The end of the text.</summary>
    End,

    /// <summary>A bare word: a keyword, a name, a number.</summary>
    Word,

    /// <summary>A name in backticks, or anything in other quotes.</summary>
    Quoted,

    /// <summary>The end of a statement.</summary>
    Semicolon,

    /// <summary>One other character.</summary>
    Other,
}

/// <summary>Reads a statement's text piece by piece, by the rules of both families: comments are left out.</summary>
/// <remarks>
/// If the text may mean different things to different servers, versions or sql_modes, <see cref="IsAmbiguous"/> is
/// true, and no piece is certain.
/// </remarks>
internal ref struct SqlScanner(ReadOnlySpan<char> text)
{
    private readonly ReadOnlySpan<char> _text = text;
    private int _at;

    /// <summary>Where the last piece begins.</summary>
    public int Start { get; private set; }

    /// <summary>Where the search for the next piece begins.</summary>
    public readonly int At => _at;

    /// <summary>The last word, without the text around it.</summary>
    public ReadOnlySpan<char> Word { get; private set; }

    /// <summary>The last other character, or the quote character of the last quoted piece.</summary>
    public char Symbol { get; private set; }

    /// <summary>
    /// Whether the server may read other pieces: a comment that some servers execute, a backslash in quotes
    /// (NO_BACKSLASH_ESCAPES decides whether it escapes), a quote or a comment without an end.
    /// </summary>
    public bool IsAmbiguous { get; private set; }

    /// <summary>The next piece.</summary>
    public SqlToken Next()
    {
        SkipBlanks();
        if (_at >= _text.Length) return SqlToken.End;

        Start = _at;
        char c = _text[_at];
        if (IsOfWord(c))
        {
            while (_at < _text.Length && IsOfWord(_text[_at])) _at++;
            Word = _text[Start.._at];
            return SqlToken.Word;
        }

        if (c is '\'' or '"' or '`')
        {
            SkipQuoted(c);
            return SqlToken.Quoted;
        }

        _at++;
        Symbol = c;
        return c == ';' ? SqlToken.Semicolon : SqlToken.Other;
    }

    /// <summary>Whether the last word is this keyword.</summary>
    public readonly bool Is(string keyword) => Word.Equals(keyword, StringComparison.OrdinalIgnoreCase);

    private static bool IsOfWord(char c) => char.IsLetterOrDigit(c) || c is '_' or '$';

    private void SkipBlanks()
    {
        while (_at < _text.Length)
        {
            ReadOnlySpan<char> rest = _text[_at..];
            if (char.IsWhiteSpace(rest[0])) _at++;
            else if (rest.StartsWith("/*")) SkipBlock(rest);
            else if (rest[0] == '#' || IsDashComment(rest)) SkipLine(rest);
            else return;
        }
    }

    // Two dashes without a blank after them are two minus signs.
    private static bool IsDashComment(ReadOnlySpan<char> rest) =>
        rest.StartsWith("--") && (rest.Length == 2 || char.IsWhiteSpace(rest[2]) || char.IsControl(rest[2]));

    private void SkipLine(ReadOnlySpan<char> rest)
    {
        int end = rest.IndexOf('\n');
        _at = end < 0 ? _text.Length : _at + end + 1;
    }

    private void SkipBlock(ReadOnlySpan<char> rest)
    {
        // Executed by servers of some version or family, and a comment to the others.
        if (rest.StartsWith("/*!") || rest.StartsWith("/*M!")) IsAmbiguous = true;
        int end = rest[2..].IndexOf("*/");
        if (end < 0) IsAmbiguous = true;
        _at = end < 0 ? _text.Length : _at + end + 4;
    }

    private void SkipQuoted(char quote)
    {
        Symbol = quote;
        for (_at++; _at < _text.Length; _at++)
        {
            if (_text[_at] == '\\' && quote != '`')
            {
                IsAmbiguous = true;
                _at++;
            }
            else if (_text[_at] == quote)
            {
                // A doubled quote stands for one quote character.
                _at++;
                if (_at >= _text.Length || _text[_at] != quote) return;
            }
        }

        IsAmbiguous = true;
        _at = _text.Length;
    }
}
