namespace UPool.Testing;

/// <summary>
/// Holds <c>./test.sh quick</c> to what it says: no test of that form starts a server or a program of its own. By its
/// trait such a test is left out there; one that has forgotten it fails at the start.
/// </summary>
internal static class OwnProcesses
{
    // Set by ./test.sh.
    private const string Variable = "UPOOL_TEST_FORM";

    private static readonly bool IsQuick = Environment.GetEnvironmentVariable(Variable) == "quick";

    /// <summary>Fails in the quick form.</summary>
    /// <param name="what">What was about to be started.</param>
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
