using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace UPool.Bench.Runner.Results;

/// <summary>Describes this machine from the kernel's data.</summary>
internal static class Machine
{
    /// <summary>The facts of a run that begins now.</summary>
    public static RunFacts Facts(string root, string database, int rounds, double seconds) => new(
        Commit(root), DateTime.UtcNow, Environment.ProcessorCount, Line("/proc/cpuinfo", "model name"),
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9,
        $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}, {database}",
        double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture), rounds, seconds);

    private static string Line(string file, string name) =>
        File.ReadLines(file).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal)) is { } line
            ? line[(line.IndexOf(':') + 1)..].Trim()
            : "unknown";

    private static string Commit(string root)
    {
        string commit = Git(root, "rev-parse", "--short", "HEAD");
        if (commit.Length == 0) return "unknown";

        // A run's own output is no change of the code that it measures.
        return Git(root, "status", "--porcelain", "--", ".", ":!docs/performance.md", ":!docs/performance").Length == 0
            ? commit
            : $"{commit}+";
    }

    private static string Git(string root, params string[] arguments)
    {
        try
        {
            using Process git = Process.Start(new ProcessStartInfo("git", arguments)
            {
                WorkingDirectory = root,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            string output = git.StandardOutput.ReadToEnd().Trim();
            git.WaitForExit();
            return output;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // No git: a copy of the sources without history can be measured too.
            return "";
        }
    }
}
