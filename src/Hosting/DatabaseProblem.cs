namespace UPool.Hosting;

/// <summary>What to say of a database that cannot be used.</summary>
internal static class DatabaseProblem
{
    /// <summary>To anybody: the driver's words may name the host and the account.</summary>
    public const string CannotBeUsed = "The database cannot be used: the log of this process says why.";

    /// <summary>To the log: the driver's own line, which names no secret.</summary>
    public static string Describe(Exception exception)
    {
        string text = exception.Message.ReplaceLineEndings(" ").Trim();
        string cause = exception.InnerException is { } inner && !text.Contains(inner.Message, StringComparison.Ordinal)
            ? $" ({inner.Message.ReplaceLineEndings(" ").Trim()})"
            : "";
        return $"The database cannot be used: {text}{cause}";
    }
}
