using System.Diagnostics;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>Renders folders of manifests as <c>kubectl apply -k</c> would, without a cluster.</summary>
internal static class Kubectl
{
    private const string HowToGet =
        "Get kubectl 1.27 or newer: https://kubernetes.io/docs/tasks/tools/#kubectl (no cluster is needed).";

    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    /// <summary>What the folder, relative to the repository, becomes.</summary>
    /// <exception cref="InvalidOperationException">kubectl is missing or refuses the folder.</exception>
    public static async Task<string> KustomizeAsync(string folder)
    {
        var start = new ProcessStartInfo("kubectl", ["kustomize", Path.Combine(Repository.Root, folder)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process? process;
        try
        {
            process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new InvalidOperationException($"kubectl is missing. {HowToGet}", exception);
        }

        using (process)
        {
            Task<string> output = process!.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(Patient);
            return process.ExitCode == 0
                ? await output
                : throw new InvalidOperationException($"kubectl refuses {folder}: {await error} {HowToGet}");
        }
    }
}
