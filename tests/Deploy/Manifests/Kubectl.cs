using System.Diagnostics;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>
/// Renders folders of manifests as <c>kubectl apply -k</c> would, without a cluster: with kubectl, or without it with
/// kustomize, which <c>scripts/get-server.sh</c> unpacks.
/// </summary>
internal static class Kubectl
{
    // The first test may have to wait for kustomize to be unpacked.
    private static readonly TimeSpan Patient = TimeSpan.FromMinutes(5);

    /// <summary>Renders a folder, given relative to the repository.</summary>
    /// <exception cref="InvalidOperationException">Neither program is installed, or the program rejects the
    /// folder.</exception>
    public static async Task<string> KustomizeAsync(string folder)
    {
        string path = Path.Combine(Repository.Root, folder);
        return await RunAsync("kubectl", "kustomize", path)
            ?? await RunAsync(Path.Combine(Repository.Root, "scripts/kustomize.sh"), "build", path)
            ?? throw new InvalidOperationException("scripts/kustomize.sh is missing.");
    }

    /// <summary>A program's output; null if the program is not installed.</summary>
    private static async Task<string?> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process? process;
        try
        {
            process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }

        using (process)
        {
            Task<string> output = process!.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(Patient);
            return process.ExitCode == 0
                ? await output
                : throw new InvalidOperationException($"{program} refuses {arguments[^1]}: {await error}");
        }
    }
}
