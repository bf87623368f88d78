namespace UPool.Testing;

/// <summary>
/// Enforces that no test in <c>./test.sh quick</c> starts a server or a program. That form excludes tests by their
/// trait; a test that lacks the trait fails here.
/// </summary>
internal static class OwnProcesses
{
    // Set by ./test.sh.
    private const string Variable = "UPOOL_TEST_FORM";

    private static readonly bool IsQuick = Environment.GetEnvironmentVariable(Variable) == "quick";

    /// <summary>Fails in the quick form.</summary>
    /// <param name="what">The program that the test was about to start, for the message.</param>
    public static void Require(string what)
    {
        if (IsQuick)
        {
            throw new InvalidOperationException(
                $"'./test.sh quick' starts no servers and no programs of a test's own, and this test starts {what}: "
                + "mark it, or its class, with [Trait(\"Needs\", \"OwnProcesses\")].");
        }
    }
}
