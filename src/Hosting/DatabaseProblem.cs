namespace UPool.Hosting;

/// <summary>Messages about a database that cannot be used.</summary>
internal static class DatabaseProblem
{
    /// <summary>For public endpoints: a message of the driver may name the host and the account.</summary>
    public const string CannotBeUsed = "The database cannot be used: the log of this process says why.";

    /// <summary>For the log: includes the driver's message, which holds no secret.</summary>
    public static string Describe(Exception exception)
    {
        string text = exception.Message.ReplaceLineEndings(" ").Trim();
        string cause = exception.InnerException is { } inner && !text.Contains(inner.Message, StringComparison.Ordinal)
            ? $" ({inner.Message.ReplaceLineEndings(" ").Trim()})"
            : "";
        return $"The database cannot be used: {text}{cause}";
    }
}
